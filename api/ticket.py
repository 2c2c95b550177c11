"""Doors to tickets."""

from api.answers import answer, show
from api.base import accept, doors
from commands.merger import MergeTicket, UnmergeTicket
from commands.subject import ForgetTicket
from commands.ticket import (
    AddTicketNote,
    AssignTicket,
    CategorizeTicket,
    ChangeTicketPriority,
    CloseTicket,
    HearFromTicketRequester,
    OpenTicket,
    PutTicketOnHold,
    PutTicketPending,
    RateTicket,
    ReopenTicket,
    ReplyToTicket,
    ResumeTicket,
    RetractTicket,
    SetTicketCustomFields,
    SolveTicket,
)
from projections.ticket import ticket
from readmodels.ticket import (
    ticket_backlog,
    ticket_backlog_daily,
    ticket_csat,
    ticket_summary,
    ticket_times,
)

router = doors("tickets")

answer(router, "/backlog", ticket_backlog)
answer(router, "/backlog-daily", ticket_backlog_daily)
answer(router, "/times", ticket_times)
answer(router, "/summary", ticket_summary)
answer(router, "/csat", ticket_csat)
show(router, ticket)

accept(router, "/{id}/open", OpenTicket)
accept(router, "/{id}/assign", AssignTicket)
accept(router, "/{id}/reply", ReplyToTicket)
accept(router, "/{id}/hear-from-requester", HearFromTicketRequester)
accept(router, "/{id}/add-note", AddTicketNote)
accept(router, "/{id}/put-pending", PutTicketPending)
accept(router, "/{id}/put-on-hold", PutTicketOnHold)
accept(router, "/{id}/resume", ResumeTicket)
accept(router, "/{id}/solve", SolveTicket)
accept(router, "/{id}/reopen", ReopenTicket)
accept(router, "/{id}/close", CloseTicket)
accept(router, "/{id}/change-priority", ChangeTicketPriority)
accept(router, "/{id}/categorize", CategorizeTicket)
accept(router, "/{id}/rate", RateTicket)
accept(router, "/{id}/set-custom-fields", SetTicketCustomFields)
accept(router, "/{id}/merge", MergeTicket)
accept(router, "/{id}/unmerge", UnmergeTicket)
accept(router, "/{id}/forget", ForgetTicket)
accept(router, "/{id}/retract", RetractTicket)
