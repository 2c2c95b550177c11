"""Which command leads to each event again: what an export of records is made of.

A command that is asked of the same state decides the same. So whoever asks for these, in the order
of the log, comes to the same records, whatever path they took: a customer that was closed before
another of its name came, a deal judged by an older revision of its pipeline.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import commands.activity
import commands.campaign
import commands.contact
import commands.conversion
import commands.custom_fields
import commands.customer
import commands.deal
import commands.lead
import commands.merger
import commands.pipeline
import commands.retention_rule
import commands.subject
import commands.ticket
import commands.user
import domain.activity
import domain.campaign
import domain.clock
import domain.contact
import domain.custom_fields
import domain.customer
import domain.deal
import domain.import_run
import domain.lead
import domain.pipeline
import domain.retention_rule
import domain.score
import domain.subject
import domain.ticket
import domain.user
from domain.base import aggregate_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from commands.base import Command
    from domain.base import Event

Verb = type["Command[Any]"]
CUSTOM = "custom"
MADE = "made"
OWN = "id"


@dataclass(frozen=True, slots=True)
class Wish:
    """A command, and where its fields come from in the event it leads to."""

    verbs: tuple[Verb, ...]
    """The command; of several, the one for the kind of record that is asked."""
    fed: Mapping[str, str]
    """Fields of the command, by those of the event; `custom` is all custom fields."""
    of: str = OWN
    """What says which record is asked: the stream, or a field of the event."""
    needs: frozenset[str] = frozenset()
    """Fields without whose record the command is not asked, though they may be null."""
    either: frozenset[str] = frozenset()
    """Fields of which at least one has to be left."""

    def verb(self, kind: str) -> Verb | None:
        """The command for a kind of record."""
        return next((verb for verb in self.verbs if kind_of(verb) == kind), None)


def kind_of(verb: Verb) -> str:
    """The kind of record that a command is asked of."""
    return aggregate_of(verb.of)


def asks(
    *verbs: Verb,
    of: str = OWN,
    needs: tuple[str, ...] = (),
    either: tuple[str, ...] = (),
    leaves: tuple[str, ...] = (),
    **fed: str,
) -> Wish:
    """A command whose fields come from those of the event by the same name, or by `fed`.

    `leaves` are the fields it does without.
    """
    fields = {name: fed.get(name, name) for name in verbs[0].model_fields if name not in leaves}
    return Wish(verbs, fields, of, frozenset(needs), frozenset(either))


AGAIN: Mapping[type[Event], Wish] = {
    domain.user.UserRegistered: asks(commands.user.RegisterUser),
    domain.user.UserTeamChanged: asks(commands.user.ChangeUserTeam),
    domain.user.UserDeactivated: asks(commands.user.DeactivateUser),
    domain.user.UserReactivated: asks(commands.user.ReactivateUser),
    domain.custom_fields.CustomFieldsDeclared: asks(commands.custom_fields.DeclareCustomField),
    domain.custom_fields.CustomFieldsRetired: asks(commands.custom_fields.RetireCustomField),
    domain.pipeline.PipelineDefined: asks(commands.pipeline.DefinePipeline),
    domain.pipeline.PipelineRevised: asks(commands.pipeline.RevisePipeline),
    domain.pipeline.PipelineRetired: asks(commands.pipeline.RetirePipeline),
    domain.customer.CustomerCreated: asks(commands.customer.CreateCustomer),
    domain.customer.CustomerRenamed: asks(commands.customer.RenameCustomer),
    domain.customer.CustomerTierChanged: asks(commands.customer.ChangeCustomerTier),
    domain.customer.CustomerAssigned: asks(commands.customer.AssignCustomer),
    domain.customer.CustomerPreferencesSet: asks(commands.customer.SetCustomerPreferences),
    domain.customer.CustomerClosed: asks(commands.customer.CloseCustomer),
    domain.customer.CustomerReactivated: asks(commands.customer.ReactivateCustomer),
    domain.customer.CustomerCustomFieldsSet: asks(commands.customer.SetCustomerCustomFields),
    domain.customer.CustomerMerged: asks(
        commands.merger.MergeCustomer, into="merged_into", take="taken"
    ),
    domain.customer.CustomerUnmerged: asks(commands.merger.UnmergeCustomer),
    domain.lead.LeadCaptured: asks(commands.lead.CaptureLead),
    domain.lead.LeadAssigned: asks(commands.lead.AssignLead),
    domain.lead.LeadEngaged: asks(commands.lead.EngageLead),
    domain.lead.LeadQualified: asks(commands.lead.QualifyLead),
    domain.lead.LeadDisqualified: asks(commands.lead.DisqualifyLead),
    domain.lead.LeadRecycled: asks(commands.lead.RecycleLead),
    # What a conversion makes has rows of its own, which come before it.
    domain.lead.LeadConverted: asks(commands.conversion.RecordLeadConversion),
    domain.lead.LeadCustomFieldsSet: asks(commands.lead.SetLeadCustomFields),
    # So has the part that a contact plays.
    domain.contact.ContactCreated: asks(
        commands.contact.CreateContact, leaves=("customer_id", "role")
    ),
    domain.contact.ContactRenamed: asks(commands.contact.RenameContact),
    domain.contact.ContactEmailChanged: asks(commands.contact.ChangeContactEmail),
    domain.contact.ContactPhoneChanged: asks(commands.contact.ChangeContactPhone),
    domain.contact.ContactTitleChanged: asks(commands.contact.ChangeContactTitle),
    domain.contact.ContactLinked: asks(commands.contact.LinkContact),
    domain.contact.ContactUnlinked: asks(commands.contact.UnlinkContact),
    domain.contact.ContactConsentGranted: asks(commands.contact.GrantConsent),
    domain.contact.ContactConsentWithdrawn: asks(commands.contact.WithdrawConsent),
    domain.contact.ContactArchived: asks(commands.contact.ArchiveContact),
    domain.contact.ContactCustomFieldsSet: asks(commands.contact.SetContactCustomFields),
    domain.contact.ContactMerged: asks(
        commands.merger.MergeContact, into="merged_into", take="taken"
    ),
    domain.contact.ContactUnmerged: asks(commands.merger.UnmergeContact),
    domain.campaign.CampaignPlanned: asks(commands.campaign.PlanCampaign),
    domain.campaign.CampaignScheduled: asks(commands.campaign.ScheduleCampaign),
    domain.campaign.CampaignStarted: asks(commands.campaign.StartCampaign),
    domain.campaign.CampaignPaused: asks(commands.campaign.PauseCampaign),
    domain.campaign.CampaignResumed: asks(commands.campaign.ResumeCampaign),
    domain.campaign.CampaignCompleted: asks(commands.campaign.CompleteCampaign),
    domain.campaign.CampaignCostRecorded: asks(commands.campaign.RecordCampaignCost),
    domain.campaign.CampaignMemberAdded: asks(
        commands.campaign.AddCampaignMember, of="campaign_id"
    ),
    domain.campaign.CampaignMemberTouched: asks(
        commands.campaign.RecordCampaignTouch, of="campaign_id"
    ),
    domain.campaign.CampaignMemberRemoved: asks(
        commands.campaign.RemoveCampaignMember, of="campaign_id"
    ),
    # Without its customer a deal could not be won.
    domain.deal.DealOpened: asks(commands.deal.OpenDeal, needs=("customer_id",)),
    domain.deal.DealLinked: asks(commands.deal.LinkDeal),
    domain.deal.DealStageChanged: asks(commands.deal.ChangeDealStage, stage="to_stage"),
    domain.deal.DealAmountChanged: asks(commands.deal.ChangeDealAmount),
    domain.deal.DealCloseDateChanged: asks(commands.deal.ChangeDealCloseDate),
    domain.deal.DealAssigned: asks(commands.deal.AssignDeal),
    domain.deal.DealWon: asks(commands.deal.WinDeal),
    domain.deal.DealLost: asks(commands.deal.LoseDeal, stage="to_stage"),
    domain.deal.DealReopened: asks(commands.deal.ReopenDeal, stage="to_stage"),
    domain.deal.DealCustomFieldsSet: asks(commands.deal.SetDealCustomFields),
    domain.ticket.TicketOpened: asks(commands.ticket.OpenTicket),
    domain.ticket.TicketAssigned: asks(commands.ticket.AssignTicket),
    domain.ticket.TicketReplied: asks(commands.ticket.ReplyToTicket),
    domain.ticket.TicketRequesterHeard: asks(commands.ticket.HearFromTicketRequester),
    domain.ticket.TicketNoted: asks(commands.ticket.AddTicketNote),
    domain.ticket.TicketPutPending: asks(commands.ticket.PutTicketPending),
    domain.ticket.TicketPutOnHold: asks(commands.ticket.PutTicketOnHold),
    domain.ticket.TicketResumed: asks(commands.ticket.ResumeTicket),
    domain.ticket.TicketSolved: asks(commands.ticket.SolveTicket),
    domain.ticket.TicketReopened: asks(commands.ticket.ReopenTicket),
    domain.ticket.TicketClosed: asks(commands.ticket.CloseTicket),
    domain.ticket.TicketPriorityChanged: asks(commands.ticket.ChangeTicketPriority),
    domain.ticket.TicketCategorized: asks(commands.ticket.CategorizeTicket),
    domain.ticket.TicketRated: asks(commands.ticket.RateTicket),
    domain.ticket.TicketCustomFieldsSet: asks(commands.ticket.SetTicketCustomFields),
    domain.ticket.TicketMerged: asks(commands.merger.MergeTicket, into="merged_into", take="taken"),
    domain.ticket.TicketUnmerged: asks(commands.merger.UnmergeTicket),
    domain.activity.ActivityPlanned: asks(
        commands.activity.PlanActivity, either=tuple(commands.activity.ABOUT), needs=("owner",)
    ),
    domain.activity.ActivityLogged: asks(
        commands.activity.LogActivity, either=tuple(commands.activity.ABOUT), needs=("owner",)
    ),
    domain.activity.ActivityAssigned: asks(commands.activity.AssignActivity),
    domain.activity.ActivityRescheduled: asks(commands.activity.RescheduleActivity),
    domain.activity.ActivityStarted: asks(commands.activity.StartActivity),
    domain.activity.ActivityCompleted: asks(commands.activity.CompleteActivity),
    domain.activity.ActivityCancelled: asks(commands.activity.CancelActivity),
    domain.retention_rule.RetentionRuleSet: asks(commands.retention_rule.SetRetentionRule),
    domain.retention_rule.RetentionRuleRepealed: asks(commands.retention_rule.RepealRetentionRule),
    domain.subject.SubjectHeld: asks(
        commands.subject.PlaceLeadLegalHold,
        commands.subject.PlaceCustomerLegalHold,
        commands.subject.PlaceContactLegalHold,
        of="record_id",
    ),
    domain.subject.SubjectReleased: asks(
        commands.subject.ReleaseLeadLegalHold,
        commands.subject.ReleaseCustomerLegalHold,
        commands.subject.ReleaseContactLegalHold,
        of="record_id",
    ),
}
"""The command that leads to an event again, for each that an export carries."""

TAKEN_BACK = "what was taken back is not exported, and neither is that it was"
MERGER = "it comes with what is said of the one merged"
FORGOTTEN = "who was forgotten is not exported"
RUNS = "the base that imports the records has runs of its own"

NOT_AGAIN: Mapping[type[Event], str] = {
    domain.activity.ActivityRetracted: TAKEN_BACK,
    domain.campaign.CampaignMemberRetracted: TAKEN_BACK,
    domain.campaign.CampaignRetracted: TAKEN_BACK,
    domain.contact.ContactRetracted: TAKEN_BACK,
    domain.customer.CustomerRetracted: TAKEN_BACK,
    domain.deal.DealRetracted: TAKEN_BACK,
    domain.lead.LeadRetracted: TAKEN_BACK,
    domain.pipeline.PipelineRetracted: TAKEN_BACK,
    domain.ticket.TicketRetracted: TAKEN_BACK,
    domain.user.UserRetracted: TAKEN_BACK,
    domain.lead.LeadUnconverted: TAKEN_BACK,
    domain.contact.ContactAbsorbed: MERGER,
    domain.contact.ContactSeparated: MERGER,
    domain.customer.CustomerAbsorbed: MERGER,
    domain.customer.CustomerSeparated: MERGER,
    domain.ticket.TicketAbsorbed: MERGER,
    domain.ticket.TicketSeparated: MERGER,
    domain.ticket.TicketStarted: "it comes with the first answer or assignment of a ticket",
    domain.subject.SubjectForgotten: FORGOTTEN,
    domain.import_run.ImportRunStarted: RUNS,
    domain.import_run.ImportRunEnded: RUNS,
    domain.import_run.ImportRunRevertStarted: RUNS,
    domain.import_run.ImportRunReverted: RUNS,
    domain.clock.ClockTicked: "the base that imports the records has a clock of its own",
    domain.score.ScoreRecorded: "learners learn anew from the records, and say what they foresee",
    domain.score.OutcomeLearned: "learners learn anew from the records",
}
"""The events that no row of an export leads to, and why not."""

UNDONE: Mapping[type[Event], type[Event]] = {
    domain.lead.LeadUnconverted: domain.lead.LeadConverted,
}
"""Events that take back what another did; all else that takes back does so with a record."""

COMES_WITH = domain.ticket.TicketRequesterHeard
COMING_ALONG = frozenset({domain.ticket.TicketResumed, domain.ticket.TicketReopened})
"""Events that are no wish of anybody's when they stand right behind a `COMES_WITH`."""

KINDS = tuple(dict.fromkeys(kind_of(verb) for wish in AGAIN.values() for verb in wish.verbs))
"""The kinds of records there are, in an order in which most find what they refer to."""

SHARED = ("custom_fields", "retention_rule")
"""Kinds of which every base has the same records, whoever says something of them."""

APART: Mapping[str, str] = {
    "position": "the log of the new base counts anew",
    "position_to": "the log of the new base counts anew",
    "recorded_at": "the new base learned of it later",
    "event_id": "what comes along with another event is numbered anew; all others keep theirs",
}
"""Columns that are others once records were exported and imported, and why. All others, in every
version of every record and in every fact, are the same."""

TABLES_APART: Mapping[str, str] = {
    "subject": FORGOTTEN,
    "retraction": TAKEN_BACK,
    "undo": TAKEN_BACK,
    "import_run": RUNS,
    "clock": NOT_AGAIN[domain.clock.ClockTicked],
    "score": NOT_AGAIN[domain.score.ScoreRecorded],
    "score_change": NOT_AGAIN[domain.score.ScoreRecorded],
    "score_outcome": NOT_AGAIN[domain.score.OutcomeLearned],
}
"""Dimensions and fact tables that an export does not carry, and why not."""
