"""The machines table."""

__all__ = ["CodeImportMachine", "CodeImportMachineSet"]

from typing import Any

from storm.locals import Int, ReferenceSet, Storm, Unicode
from zope.component import getUtility
from zope.interface import implementer

from lp.code.enums import (
    CodeImportMachineOfflineReason,
    CodeImportMachineState,
)
from lp.code.errors import MachineExists, MachineStateRefused
from lp.code.interfaces.codeimportevent import ICodeImportEventSet
from lp.code.interfaces.codeimportmachine import ICodeImportMachine, ICodeImportMachineSet
from lp.code.policy.arguments import check_hostname, check_offline_reason, check_worker_limit
from lp.services.database.columns import DBEnum, UTCDateTime
from lp.services.database.constants import DEFAULT
from lp.services.database.interfaces import IStore
from lp.services.text import is_storable

OFFLINE = CodeImportMachineState.OFFLINE
ONLINE = CodeImportMachineState.ONLINE
QUIESCING = CodeImportMachineState.QUIESCING

# The row stays locked to the end of the transaction, so that the counter holds till then.
RECORD_POLL = """
    UPDATE codeimportmachine SET heartbeat = CURRENT_TIMESTAMP, worker_limit = ?
     WHERE id = ? AND state <> ?
"""
CHANGE_STATE = "UPDATE codeimportmachine SET state = ? WHERE id = ? AND state IN ({}) RETURNING id"
INSERT_MACHINE = """
    INSERT INTO codeimportmachine (hostname, state) VALUES (?, ?)
    ON CONFLICT (hostname) DO NOTHING RETURNING id
"""


@implementer(ICodeImportMachine)
class CodeImportMachine(Storm):
    """See `ICodeImportMachine`."""

    __storm_table__ = "codeimportmachine"

    id: int = Int(primary=True)
    date_created: Any = UTCDateTime(allow_none=False, default=DEFAULT)
    hostname: str = Unicode(allow_none=False)
    state = DBEnum(enum=CodeImportMachineState, allow_none=False)
    heartbeat: Any = UTCDateTime()
    running: int = Int(allow_none=False)
    worker_limit: int | None = Int()

    current_jobs = ReferenceSet(
        id,
        "CodeImportJob.machine_id",
        order_by=("CodeImportJob.date_started", "CodeImportJob.id"),
    )

    @property
    def events(self) -> Any:
        """See `ICodeImportMachine`."""
        return getUtility(ICodeImportEventSet).getEventsForMachine(self)

    def shouldLookForJob(self, worker_limit: int) -> bool:
        """See `ICodeImportMachine`."""
        store = IStore(self)
        values = (check_worker_limit(worker_limit), self.id, OFFLINE.value)
        store.execute(RECORD_POLL, values, noresult=True)
        store.invalidate(self)
        if self.state == QUIESCING and self.running == 0:
            self.setOffline(CodeImportMachineOfflineReason.QUIESCED)
        return self.state == ONLINE and self.running < worker_limit

    def setOnline(self, user: Any = None, message: str | None = None) -> None:
        """See `ICodeImportMachine`."""
        self._change_state(ONLINE, (OFFLINE, QUIESCING))
        getUtility(ICodeImportEventSet).newOnline(self, user, message)

    def setOffline(self, reason: Any, user: Any = None, message: str | None = None) -> None:
        """See `ICodeImportMachine`."""
        check_offline_reason(reason)
        self._change_state(OFFLINE, (ONLINE, QUIESCING))
        getUtility(ICodeImportEventSet).newOffline(self, reason, user, message)

    def setQuiescing(self, user: Any, message: str | None = None) -> None:
        """See `ICodeImportMachine`."""
        self._change_state(QUIESCING, (ONLINE,))
        getUtility(ICodeImportEventSet).newQuiesce(self, user, message)

    def _change_state(self, state: Any, allowed: tuple[Any, ...]) -> None:
        """Go into a state from one of some others, or raise that it cannot be."""
        store = IStore(self)
        values = (state.value, self.id, *(item.value for item in allowed))
        statement = CHANGE_STATE.format(", ".join("?" * len(allowed)))
        changed = store.execute(statement, values).get_one()
        store.invalidate(self)
        if changed is None:
            raise MachineStateRefused(self.hostname, self.state.name, f"go {state.name}")


@implementer(ICodeImportMachineSet)
class CodeImportMachineSet:
    """See `ICodeImportMachineSet`."""

    def getAll(self) -> Any:
        """See `ICodeImportMachineSet`."""
        machines = IStore(CodeImportMachine).find(CodeImportMachine)
        return machines.order_by(CodeImportMachine.hostname)

    def getByHostname(self, hostname: str) -> CodeImportMachine | None:
        """See `ICodeImportMachineSet`."""
        if not is_storable(hostname):
            return None
        found = IStore(CodeImportMachine).find(CodeImportMachine, hostname=hostname)
        machine: CodeImportMachine | None = found.one()
        return machine

    def new(self, hostname: str, state: Any = OFFLINE) -> CodeImportMachine:
        """See `ICodeImportMachineSet`."""
        if not self._insert(hostname, state):
            raise MachineExists(hostname)
        return self._get_new(hostname, state)

    def ensure(self, hostname: str, state: Any) -> CodeImportMachine:
        """See `ICodeImportMachineSet`."""
        machine = self.getByHostname(check_hostname(hostname))
        if machine is not None:
            return machine
        return self._get_new(hostname, state if self._insert(hostname, state) else OFFLINE)

    def _insert(self, hostname: str, state: Any) -> bool:
        """Register a hostname, OFFLINE for a start; say whether it was unregistered."""
        if state not in (OFFLINE, ONLINE):
            raise MachineStateRefused(hostname, "new", f"be {getattr(state, 'name', state)}")
        values = (check_hostname(hostname), OFFLINE.value)
        return IStore(CodeImportMachine).execute(INSERT_MACHINE, values).get_one() is not None

    def _get_new(self, hostname: str, state: Any) -> CodeImportMachine:
        """Return a machine that is registered by now, brought into its first state."""
        found = IStore(CodeImportMachine).find(CodeImportMachine, hostname=hostname)
        machine: CodeImportMachine = found.one()
        if state == ONLINE:
            machine.setOnline()
        return machine
