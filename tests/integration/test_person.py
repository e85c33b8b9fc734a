"""People: the corners."""

from zope.component import getUtility

from lp.registry.errors import InvalidPersonName
from lp.registry.interfaces.person import IPersonSet
from tests.integration.domain import DomainTestCase


class TestPersonSet(DomainTestCase):
    """See `IPersonSet`."""

    def setUp(self):
        super().setUp()
        self.people = getUtility(IPersonSet)

    def test_ensure_new(self):
        # A person is made on first use, and shown by the name.
        person = self.people.ensure("ann")
        self.assertEqual(("ann", "ann"), (person.name, person.display_name))
        self.assertEqual(self.now(), person.date_created)

    def test_ensure_known(self):
        # The second use finds the person, whose display name stays.
        person = self.people.ensure("ann", "Ann Other")
        self.assertIs(person, self.people.ensure("ann", "Somebody else"))
        self.assertEqual("Ann Other", person.display_name)
        self.assertEqual(1, self.count("person"))

    def test_ensure_is_exact(self):
        # User names of the operating system differ by case, too.
        self.assertIsNot(self.people.ensure("ann"), self.people.ensure("Ann"))

    def test_ensure_malformed(self):
        # A name that cannot be read or stored is refused, and nothing is written.
        for name in ("", "a b", "a\n", "a\0", "\u200b", "\ud800", "x" * 101):
            with self.subTest(repr(name)), self.assertRaises(InvalidPersonName) as caught:
                self.people.ensure(name)
            self.assertEqual(name, caught.exception.name)
        self.assertEqual(0, self.count("person"))

    def test_ensure_longest(self):
        # A hundred characters of any script are a name.
        self.assertEqual("ä" * 100, self.people.ensure("ä" * 100).name)

    def test_getByName_unknown(self):
        # Looking makes nobody, and any text can be looked for.
        for name in ("ann", "", "ann\0", "\udcff"):
            self.assertIsNone(self.people.getByName(name))
        self.assertEqual(0, self.count("person"))
