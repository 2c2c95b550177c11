-- Contacts as those who have to account for what was sent to them.

-- What was sent to a contact, and the consent there was at that moment: a row for each message of
-- a campaign, and for each call or message to the contact that was logged. The consent is the last
-- word on the channel, for any purpose or that of marketing, among what had been said by then, also
-- by those who are merged into the contact;
-- consented is false where it was withdrawn or never given. Its position leads to its proof.
CREATE OR REPLACE MACRO contact_sendings(contact, as_of := NULL, known_at := NULL) AS TABLE
  WITH sent AS (
    SELECT
      touch.position,
      touch.occurred_at AS sent_at,
      'campaign' AS by_what,
      touch.campaign_id,
      CASE campaign.channel WHEN 'mail' THEN 'post' ELSE campaign.channel END AS channel
    FROM touch_at(as_of, known_at) AS touch
    JOIN campaign_at(as_of, known_at) AS campaign ON campaign.id = touch.campaign_id
    WHERE touch.kind = 'sent' AND touch.member_id = contact::UUID
    UNION ALL
    SELECT
      position,
      occurred_at,
      kind,
      NULL,
      CASE kind WHEN 'call' THEN 'phone' WHEN 'message' THEN 'sms' ELSE kind END
    FROM interaction_at(as_of, known_at)
    WHERE direction = 'outbound' AND contact_id = contact::UUID
      AND kind IN ('call', 'email', 'message')
  ), person AS (
    SELECT contact::UUID AS id
    UNION ALL
    SELECT id FROM records_merged(as_of, known_at) WHERE merged_into = contact::UUID
  ), said AS (
    SELECT
      sent.position,
      arg_max(
        {
          'status': consent.status,
          'purpose': consent.purpose,
          'source': consent.source,
          'proof': consent.proof,
          'since': consent.valid_from,
          'said_at': consent.position
        },
        consent.position
      ) AS consent
    FROM sent
    JOIN contact_consent_history AS consent
      ON consent.channel = sent.channel
      AND consent.purpose IN ('any', 'marketing')
      AND consent.valid_from <= sent.sent_at
      AND consent.position < sent.position
    WHERE consent.id IN (SELECT id FROM person)
    GROUP BY sent.position
  )
  SELECT
    sent.sent_at,
    sent.by_what,
    sent.channel,
    sent.campaign_id,
    coalesce(consent.status = 'granted', false) AS consented,
    consent.purpose AS consent_purpose,
    consent.source AS consent_source,
    consent.proof AS consent_proof,
    consent.since AS consent_since,
    consent.said_at AS consent_position,
    sent.position
  FROM sent
  LEFT JOIN said USING (position)
  ORDER BY sent.sent_at, sent.position;
