"""The events table, and the data of events."""

__all__ = ["CodeImportEvent", "CodeImportEventSet"]

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from storm.locals import Desc, Int, Reference, Storm, Unicode
from zope.interface import implementer

from lp.code.enums import (
    CodeImportEventDataType,
    CodeImportEventType,
    RevisionControlSystems,
)
from lp.code.errors import InvalidArgument, WrongModifyToken
from lp.code.interfaces.codeimportevent import (
    ICodeImportEvent,
    ICodeImportEventSet,
    ICodeImportModifyToken,
)
from lp.code.policy.arguments import check_offline_reason
from lp.services.database.columns import DBEnum, UTCDateTime
from lp.services.database.constants import UTC_NOW
from lp.services.database.interfaces import IStore
from lp.services.text import storable_text

Data = CodeImportEventDataType
Snapshot = dict[Any, str | None]


@implementer(ICodeImportEvent)
class CodeImportEvent(Storm):
    """See `ICodeImportEvent`."""

    __storm_table__ = "codeimportevent"

    id: int = Int(primary=True)
    date_created: Any = UTCDateTime(allow_none=False)
    event_type = DBEnum(name="entry_type", enum=CodeImportEventType, allow_none=False)
    code_import_id = Int(name="code_import")
    code_import = Reference(code_import_id, "CodeImport.id")
    person_id = Int(name="person")
    person = Reference(person_id, "Person.id")
    machine_id = Int(name="machine")
    machine = Reference(machine_id, "CodeImportMachine.id")

    def items(self) -> list[tuple[Any, str | None]]:
        """See `ICodeImportEvent`."""
        data = IStore(self).find(EventData, event_id=self.id).order_by(EventData.data_type)
        return [(item.data_type, item.data_value) for item in data]


class EventData(Storm):
    """One item of an event's data."""

    __storm_table__ = "codeimporteventdata"

    id: int = Int(primary=True)
    event_id = Int(name="event", allow_none=False)
    data_type = DBEnum(enum=CodeImportEventDataType, allow_none=False)
    data_value = Unicode()


@implementer(ICodeImportModifyToken)
@dataclass(frozen=True)
class CodeImportModifyToken:
    """See `ICodeImportModifyToken`."""

    snapshot: Snapshot


@implementer(ICodeImportEventSet)
class CodeImportEventSet:
    """See `ICodeImportEventSet`."""

    def getAll(self) -> Any:
        """See `ICodeImportEventSet`."""
        events = IStore(CodeImportEvent).find(CodeImportEvent)
        return events.order_by(CodeImportEvent.date_created, CodeImportEvent.id)

    def getEventsForCodeImport(self, code_import: Any) -> Any:
        """See `ICodeImportEventSet`."""
        events = IStore(CodeImportEvent).find(CodeImportEvent, code_import_id=code_import.id)
        return events.order_by(CodeImportEvent.date_created, CodeImportEvent.id)

    def getEventsForMachine(self, machine: Any) -> Any:
        """See `ICodeImportEventSet`."""
        events = IStore(CodeImportEvent).find(CodeImportEvent, machine_id=machine.id)
        return events.order_by(Desc(CodeImportEvent.date_created), Desc(CodeImportEvent.id))

    def newCreate(self, code_import: Any, person: Any) -> CodeImportEvent:
        """See `ICodeImportEventSet`."""
        return self._new(
            CodeImportEventType.CREATE,
            code_import=code_import,
            person=person,
            data=take_snapshot(code_import),
        )

    def beginModify(self, code_import: Any) -> CodeImportModifyToken:
        """See `ICodeImportEventSet`."""
        return CodeImportModifyToken(take_snapshot(code_import))

    def newModify(self, code_import: Any, person: Any, token: Any) -> CodeImportEvent | None:
        """See `ICodeImportEventSet`."""
        old, new = token.snapshot, take_snapshot(code_import)
        if old[Data.CODE_IMPORT] != new[Data.CODE_IMPORT]:
            raise WrongModifyToken(
                f"The token is of import {old[Data.CODE_IMPORT]}, and the import has the"
                f" number {new[Data.CODE_IMPORT]}."
            )
        keys = old | new
        changed = [key for key in keys if old.get(key) != new.get(key)]
        if not changed:
            return None
        data: Snapshot = {key: new.get(key) for key in keys}
        data |= {Data.items[f"OLD_{key.name}"]: old.get(key) for key in changed}
        return self._new(
            CodeImportEventType.MODIFY, code_import=code_import, person=person, data=data
        )

    def newDelete(self, code_import: Any, person: Any) -> CodeImportEvent:
        """See `ICodeImportEventSet`."""
        return self._new(
            CodeImportEventType.DELETE,
            code_import=code_import,
            person=person,
            data=take_snapshot(code_import),
        )

    def newRequest(self, code_import: Any, person: Any) -> CodeImportEvent:
        """See `ICodeImportEventSet`."""
        return self._new(
            CodeImportEventType.REQUEST,
            code_import=code_import,
            person=person,
            data={Data.CODE_IMPORT: str(code_import.id)},
        )

    def newOnline(
        self,
        machine: Any,
        user: Any = None,
        message: str | None = None,
        _date_created: datetime | None = None,
    ) -> CodeImportEvent:
        """See `ICodeImportEventSet`."""
        return self._new(
            CodeImportEventType.ONLINE,
            machine=machine,
            person=user,
            data=message_data(message),
            date_created=_date_created,
        )

    def newOffline(
        self, machine: Any, reason: Any, user: Any = None, message: str | None = None
    ) -> CodeImportEvent:
        """See `ICodeImportEventSet`."""
        return self._new(
            CodeImportEventType.OFFLINE,
            machine=machine,
            person=user,
            data={Data.OFFLINE_REASON: check_offline_reason(reason).name} | message_data(message),
        )

    def newQuiesce(self, machine: Any, user: Any, message: str | None = None) -> CodeImportEvent:
        """See `ICodeImportEventSet`."""
        return self._new(
            CodeImportEventType.QUIESCE, machine=machine, person=user, data=message_data(message)
        )

    def newStart(self, code_import: Any, machine: Any) -> CodeImportEvent:
        """See `ICodeImportEventSet`."""
        return self._new(CodeImportEventType.START, code_import=code_import, machine=machine)

    def newFinish(self, code_import: Any, machine: Any) -> CodeImportEvent:
        """See `ICodeImportEventSet`."""
        return self._new(CodeImportEventType.FINISH, code_import=code_import, machine=machine)

    def newKill(self, code_import: Any, machine: Any) -> CodeImportEvent:
        """See `ICodeImportEventSet`."""
        return self._new(CodeImportEventType.KILL, code_import=code_import, machine=machine)

    def newReclaim(self, code_import: Any, machine: Any, job_id: int) -> CodeImportEvent:
        """See `ICodeImportEventSet`."""
        if not isinstance(job_id, int) or isinstance(job_id, bool):
            raise InvalidArgument(f"A job id is a whole number, not {job_id!r}.")
        return self._new(
            CodeImportEventType.RECLAIM,
            code_import=code_import,
            machine=machine,
            data={Data.RECLAIMED_JOB_ID: str(job_id)},
        )

    def _new(
        self,
        event_type: Any,
        *,
        code_import: Any = None,
        person: Any = None,
        machine: Any = None,
        data: Snapshot | None = None,
        date_created: datetime | None = None,
    ) -> CodeImportEvent:
        """Write an event and its data."""
        event = CodeImportEvent()
        event.event_type = event_type
        event.code_import = code_import
        event.person = person
        event.machine = machine
        event.date_created = date_created or UTC_NOW
        store = IStore(CodeImportEvent)
        store.add(event)
        store.flush()
        for data_type, value in (data or {}).items():
            self._add_data(store, event, data_type, value)
        return event

    def _add_data(
        self, store: IStore, event: CodeImportEvent, data_type: Any, value: str | None
    ) -> None:
        """Write one item of an event's data."""
        item = EventData()
        item.event_id = event.id
        item.data_type = data_type
        item.data_value = None if value is None else storable_text(value)
        store.add(item)


def message_data(message: str | None) -> Snapshot:
    """Return the data of a message; nothing if there is none."""
    return {Data.MESSAGE: message} if message else {}


def take_snapshot(code_import: Any) -> Snapshot:
    """Return the values of an import that events tell of."""
    interval, assignee = code_import.update_interval, code_import.assignee
    snapshot: Snapshot = {
        Data.CODE_IMPORT: str(code_import.id),
        Data.REVIEW_STATUS: code_import.review_status.name,
        Data.OWNER: str(code_import.owner.id),
        Data.UPDATE_INTERVAL: None if interval is None else str(interval),
        Data.ASSIGNEE: None if assignee is None else str(assignee.id),
    }
    return snapshot | dict(source_data(code_import))


def source_data(code_import: Any) -> Iterable[tuple[Any, str | None]]:
    """Return the values that say where an import's source is."""
    if code_import.rcs_type == RevisionControlSystems.CVS:
        return [(Data.CVS_ROOT, code_import.cvs_root), (Data.CVS_MODULE, code_import.cvs_module)]
    return [(Data.URL, code_import.url)]
