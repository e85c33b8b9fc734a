"""Every component of the site keeps the promises of its interface."""

import importlib
import pkgutil

from pyramid.interfaces import IRequest
from storm.locals import Storm
from zope.component import getGlobalSiteManager, getMultiAdapter, getUtility
from zope.interface import implementedBy
from zope.interface.verify import verifyClass
from zope.schema import getValidationErrors

import lp
from lp.code.enums import CodeImportResultStatus
from lp.services.database.interfaces import IStore
from lp.services.logstore.interfaces import ILogStore
from lp.services.startup import register_components
from lp.services.webapp.servers import LaunchpadTestRequest
from lp.testing import verifyObject
from lp.xmlrpc.interfaces import IPrivateApplication
from tests.integration.domain import DomainTestCase

# What the site must have at least, lest the walks below find nothing and pass.
FEWEST_UTILITIES = 12
FEWEST_MODELS = 8


def is_ours(thing):
    """Say whether a class or an interface is of this project, or of Storm for it."""
    return thing.__module__.split(".")[0] in ("lp", "storm")


def model_classes():
    """Return every class that stands for a table, and the interface that it implements."""
    for info in pkgutil.walk_packages(lp.__path__, "lp."):
        if not info.name.startswith(("lp.testing", "lp.scripts")):
            importlib.import_module(info.name)
    return [
        (model, interface)
        for model in Storm.__subclasses__()
        if is_ours(model) and hasattr(model, "__storm_table__")
        for interface in implementedBy(model)
        if is_ours(interface)
    ]


class TestComponents(DomainTestCase):
    """The global registry, as the site's ZCML fills it."""

    def setUp(self):
        super().setUp()
        # Whatever other tests have done to the registry.
        register_components()
        self.registry = getGlobalSiteManager()

    def test_every_utility(self):
        # Each utility provides what it is registered for.
        found = [
            registration
            for registration in self.registry.registeredUtilities()
            if is_ours(registration.provided)
        ]
        self.assertGreaterEqual(len(found), FEWEST_UTILITIES)
        for registration in found:
            with self.subTest(registration.provided.__identifier__):
                verifyObject(registration.provided, registration.component)

    def test_every_utility_is_stateless(self):
        # Utilities are shared by all threads: those of the domain hold nothing at all.
        for registration in self.registry.registeredUtilities():
            if registration.component.__class__.__module__.startswith(("lp.code.model", "lp.reg")):
                state = {
                    key: value
                    for key, value in vars(registration.component).items()
                    if not isinstance(value, str)
                }
                self.assertEqual({}, state, registration)

    def test_every_adapter(self):
        # Each adapter, made for things that it is registered for, provides its interface.
        examples = [*vars(getUtility(IPrivateApplication)).values(), LaunchpadTestRequest()]
        found = [
            registration
            for registration in self.registry.registeredAdapters()
            # Pyramid keeps its views here as well, and other tests their own.
            if is_ours(registration.factory) and is_ours(registration.provided)
        ]
        self.assertGreaterEqual(len(found), 2)
        for registration in found:
            with self.subTest(registration.provided.__identifier__):
                context = [
                    next(example for example in examples if required.providedBy(example))
                    for required in registration.required
                ]
                adapter = getMultiAdapter(context, registration.provided)
                verifyObject(registration.provided, adapter)

    def test_examples_are_requests(self):
        # The test's own request is one that adapters are registered for.
        self.assertTrue(IRequest.providedBy(LaunchpadTestRequest()))


class TestModels(DomainTestCase):
    """The classes that stand for tables."""

    def make_one_of_each(self):
        """Fill each table."""
        job = self.factory.makeRunningJob()
        log = getUtility(ILogStore).create("a.log", b"output")
        self.workflow.updateHeartbeat(job, "line")
        self.workflow.finishJob(job, CodeImportResultStatus.SUCCESS, log)
        self.factory.makeRunningJob()

    def test_every_model_class(self):
        # Each class has the methods of its interface, with their arguments.
        found = model_classes()
        self.assertGreaterEqual(len(found), FEWEST_MODELS)
        for model, interface in found:
            with self.subTest(model.__name__):
                verifyClass(interface, model)

    def test_every_model_object(self):
        # Each row has the attributes of its interface as well.
        self.make_one_of_each()
        for model, interface in model_classes():
            with self.subTest(model.__name__):
                row = IStore(model).find(model).any()
                self.assertIsNotNone(row, "make_one_of_each() must make one")
                verifyObject(interface, row)

    def test_every_model_value(self):
        # The values of real rows are of the types that the interfaces promise.
        self.make_one_of_each()
        for model, interface in model_classes():
            for row in IStore(model).find(model):
                with self.subTest(model.__name__, id=row.id):
                    self.assertEqual([], getValidationErrors(interface, row))
