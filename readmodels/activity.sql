-- Activities: what is overdue, what was done, and with whom.

-- Every call, meeting, task and message that took place, and whose customer it was about: the one
-- it names, or the one of the deal, ticket, lead or contact it names (of a contact, the customer
-- where it plays its oldest current role).
CREATE OR REPLACE MACRO customer_interactions(as_of := NULL, known_at := NULL) AS TABLE
  WITH role AS (
    SELECT id AS contact_id, arg_min(customer_id, (linked_at, position)) AS customer_id
    FROM contact_role_at(as_of, known_at)
    WHERE status = 'current'
    GROUP BY id
  )
  SELECT
    coalesce(
      interaction.customer_id,
      deal.customer_id,
      ticket.customer_id,
      lead.customer_id,
      role.customer_id
    ) AS customer_id,
    interaction.* EXCLUDE (customer_id)
  FROM interaction_at(as_of, known_at) AS interaction
  LEFT JOIN deal_at(as_of, known_at) AS deal ON deal.id = interaction.deal_id
  LEFT JOIN ticket_at(as_of, known_at) AS ticket ON ticket.id = interaction.ticket_id
  LEFT JOIN lead_at(as_of, known_at) AS lead ON lead.id = interaction.lead_id
  LEFT JOIN role ON role.contact_id = interaction.contact_id
  ORDER BY occurred_at, position;

-- What should have been done by the moment and was not: a row for each activity, the longest
-- overdue first.
CREATE OR REPLACE MACRO overdue_activities(as_of := NULL, known_at := NULL) AS TABLE
  SELECT
    id AS activity_id,
    kind,
    status,
    priority,
    owner,
    due,
    round(days_between(due, moment(as_of, known_at)), 2) AS overdue_days,
    customer_id,
    contact_id,
    lead_id,
    deal_id,
    ticket_id
  FROM activity_at(as_of, known_at)
  WHERE status IN ('planned', 'started') AND due < moment(as_of, known_at)
  ORDER BY due, activity_id;

-- What everybody does: a row for each owner and kind of activity.
CREATE OR REPLACE MACRO activity_summary(as_of := NULL, known_at := NULL) AS TABLE
  SELECT
    owner,
    kind,
    count(*) FILTER (status IN ('planned', 'started')) AS to_do,
    count(*) FILTER (status IN ('planned', 'started') AND due < moment(as_of, known_at)) AS overdue,
    count(*) FILTER (status = 'completed') AS completed,
    count(*) FILTER (status = 'cancelled') AS cancelled,
    coalesce(sum(duration_minutes) FILTER (status = 'completed'), 0) AS minutes,
    max(completed_at) AS last_completed_at
  FROM activity_at(as_of, known_at)
  GROUP BY owner, kind
  ORDER BY owner, kind;
