-- One customer: all that happened, in the order in which it did, and what there is of each kind.

-- The records that are a customer's: a row for each, the customer itself included, and those that
-- were merged into one of them. Of a contact who plays no role there any more only what was recorded
-- until then counts (`until`, a position).
CREATE OR REPLACE MACRO customer_records(
  customer, as_of := NULL, known_at := NULL
) AS TABLE
  WITH person AS (
    SELECT role.id, 'contact' AS kind, if(role.status = 'ended', role.position, NULL) AS until
    FROM contact_role_at(as_of, known_at) AS role
    WHERE role.customer_id = customer::UUID
    UNION ALL
    SELECT lead.id, 'lead', NULL
    FROM lead_at(as_of, known_at) AS lead
    WHERE lead.customer_id = customer::UUID
  ), business AS (
    SELECT id, kind, until
    FROM person
    UNION ALL
    SELECT deal.id, 'deal', NULL
    FROM deal_at(as_of, known_at) AS deal
    WHERE deal.customer_id = customer::UUID
    UNION ALL
    SELECT ticket.id, 'ticket', NULL
    FROM ticket_at(as_of, known_at) AS ticket
    WHERE ticket.customer_id = customer::UUID
  ), own AS (
    SELECT customer::UUID AS id, 'customer' AS kind, NULL AS until
    UNION ALL
    FROM business
    UNION ALL
    SELECT activity.id, 'activity', NULL
    FROM activity_at(as_of, known_at) AS activity
    WHERE activity.customer_id = customer::UUID
      OR activity.customer_id IS NULL AND (
        activity.contact_id IN (SELECT id FROM business WHERE until IS NULL)
        OR activity.lead_id IN (SELECT id FROM business)
        OR activity.deal_id IN (SELECT id FROM business)
        OR activity.ticket_id IN (SELECT id FROM business)
      )
    UNION ALL
    SELECT member.id, 'campaign_member', person.until
    FROM campaign_member_at(as_of, known_at) AS member
    JOIN person ON person.id = member.member_id
  )
  FROM own
  UNION ALL
  SELECT merged.id, own.kind, own.until
  FROM records_merged(as_of, known_at) AS merged
  JOIN own ON own.id = merged.merged_into
  ORDER BY kind, id;

-- Everything that happened with a customer: a row for each event of its own, of its contacts,
-- leads, deals and tickets, and of the activities and campaign touches they took part in. They are
-- in the order in which they happened; recorded_at and position tell when the log learned of each,
-- so what was written down late stands where it belongs and can be told apart.
CREATE OR REPLACE MACRO customer_timeline(
  customer, as_of := NULL, known_at := NULL
) AS TABLE
  WITH happened AS MATERIALIZED (
    SELECT
      event.occurred_at, event.recorded_at, event.position, record.kind, event.id, event.type,
      event.actor
    FROM customer_records(customer, as_of, known_at) AS record
    JOIN event_at(as_of, known_at) AS event USING (id)
    WHERE record.until IS NULL OR event.position <= record.until
  ), told AS (
    SELECT position, concat_ws(', ', stage.from_stage || ' → ' || stage.to_stage,
      stage.amount || ' ' || stage.currency, closed.reason, closed.competitor) AS detail
    FROM happened
    JOIN stage_change AS stage USING (position)
    LEFT JOIN deal_closed AS closed USING (position)
    UNION ALL
    SELECT position, concat(from_amount, ' ', from_currency, ' → ', to_amount, ' ', to_currency)
    FROM happened
    JOIN amount_change USING (position)
    UNION ALL
    SELECT position, concat(coalesce(from_date::VARCHAR, '?'), ' → ',
      coalesce(to_date::VARCHAR, '?'))
    FROM happened
    JOIN close_date_change USING (position)
    UNION ALL
    SELECT position, concat_ws(', ', talk.kind, direction, outcome, duration_minutes || ' min')
    FROM happened
    JOIN interaction AS talk USING (position)
    UNION ALL
    SELECT position, concat_ws(' → ', from_status, to_status)
    FROM happened
    JOIN ticket_status_change USING (position)
    UNION ALL
    SELECT position, rating || ' of 5'
    FROM happened
    JOIN ticket_rating USING (position)
    UNION ALL
    SELECT position, engagement.kind
    FROM happened
    JOIN engagement USING (position)
    UNION ALL
    SELECT position, concat_ws(', ', to_status, reason)
    FROM happened
    JOIN lead_status_change USING (position)
    UNION ALL
    SELECT position, touch.kind
    FROM happened
    JOIN touch USING (position)
    UNION ALL
    SELECT position, concat(from_tier, ' → ', to_tier)
    FROM happened
    JOIN tier_change USING (position)
  )
  SELECT occurred_at, kind, id, type, detail, actor, recorded_at, position
  FROM happened
  LEFT JOIN told USING (position)
  ORDER BY occurred_at, position;

-- The people of a customer: a row for each contact who plays or played a role there, with the
-- channels on which they agreed to be addressed.
CREATE OR REPLACE MACRO customer_contacts(
  customer, as_of := NULL, known_at := NULL
) AS TABLE
  WITH consent AS (
    SELECT id, list(DISTINCT channel ORDER BY channel) AS channels
    FROM contact_consent_at(as_of, known_at)
    WHERE status = 'granted'
    GROUP BY id
  )
  SELECT
    contact.id AS contact_id,
    contact.status,
    role.status AS role_status,
    role.role,
    role.since,
    role.until,
    contact.title,
    contact.title_level,
    contact.email_kind,
    contact.has_phone,
    coalesce(consent.channels, []) AS consents,
    contact.lead_id
  FROM contact_role_at(as_of, known_at) AS role
  JOIN contact_at(as_of, known_at) AS contact USING (id)
  LEFT JOIN consent USING (id)
  WHERE role.customer_id = customer::UUID
  ORDER BY role_status, role.linked_at, contact_id;

-- The deals of a customer, the newest first.
CREATE OR REPLACE MACRO customer_deals(
  customer, as_of := NULL, known_at := NULL
) AS TABLE
  SELECT
    deal.id AS deal_id,
    deal.name,
    deal.status,
    deal.stage,
    deal.amount,
    deal.currency,
    deal.probability,
    deal.expected_close,
    deal.owner,
    deal.product,
    deal.opened_at,
    deal.closed_at,
    deal.reason
  FROM deal_at(as_of, known_at) AS deal
  WHERE deal.customer_id = customer::UUID
  ORDER BY opened_at DESC, deal_id;

-- The tickets of a customer, the newest first, each with how long it took.
CREATE OR REPLACE MACRO customer_tickets(
  customer, as_of := NULL, known_at := NULL
) AS TABLE
  SELECT times.* EXCLUDE (customer_id)
  FROM ticket_times(as_of, known_at) AS times
  WHERE times.customer_id = customer::UUID
  ORDER BY opened_at DESC, ticket_id;

-- What learners said of a customer and of the leads it came from, the newest first.
CREATE OR REPLACE MACRO customer_scores(
  customer, as_of := NULL, known_at := NULL
) AS TABLE
  SELECT
    score.learner,
    score.subject_type,
    score.subject_id,
    score.value,
    score.occurred_at,
    score.model_version,
    score.position
  FROM score_change_at(as_of, known_at) AS score
  WHERE score.subject_id IN (
    SELECT id
    FROM customer_records(customer, as_of, known_at)
    WHERE kind IN ('customer', 'lead')
  )
  ORDER BY occurred_at DESC, position DESC;
