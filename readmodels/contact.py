"""Questions about contacts: their SQL is in contact.sql."""

from readmodels.query import report
from readmodels.units import ordinal

contact_sendings = report(
    "contact_sendings",
    "id",
    where={"channel": str, "by_what": str},
    columns={
        "sent_at": "When it was sent.",
        "by_what": "campaign, or the kind of the activity: call, email or message.",
        "channel": "The channel, as consent knows it.",
        "campaign_id": "The campaign.",
        "consented": "Whether there was consent at that moment.",
        "consent_purpose": "What the consent that counted then was for.",
        "consent_source": "How we knew.",
        "consent_proof": "Where its proof is.",
        "consent_since": "Since when it had been so.",
        "consent_position": ordinal("Position of the event that said so."),
        "position": ordinal("Position of the sending in the log."),
    },
)
