-- Customers seen from all sides: who they are, all that happened with them, and how they are doing.

-- What there is to know about each customer at a glance: a row for each. health is the last score
-- of the learner customer_health: how likely it is that we hear from the customer soon.
CREATE OR REPLACE MACRO customer_profile(as_of := NULL, known_at := NULL) AS TABLE
  WITH contacts AS (
    SELECT customer_id, count(*) AS contacts
    FROM contact_role_at(as_of, known_at)
    WHERE status = 'current'
    GROUP BY customer_id
  ), deals AS (
    SELECT
      customer_id,
      count(*) FILTER (status = 'open') AS deals_open,
      count(*) FILTER (status = 'won') AS deals_won,
      count(*) FILTER (status = 'lost') AS deals_lost
    FROM deal_at(as_of, known_at)
    GROUP BY customer_id
  ), tickets AS (
    SELECT
      customer_id,
      count(*) AS tickets,
      count(*) FILTER (status NOT IN ('solved', 'closed')) AS tickets_open,
      round(avg(rating), 2) AS mean_rating
    FROM ticket_at(as_of, known_at)
    GROUP BY customer_id
  ), talks AS (
    SELECT
      customer_id,
      count(*) AS interactions,
      max(occurred_at) AS last_interaction_at,
      arg_max(kind, (occurred_at, position)) AS last_interaction
    FROM customer_interactions(as_of, known_at)
    GROUP BY customer_id
  ), health AS (
    SELECT subject_id AS customer_id, value AS health, scored_at AS health_at
    FROM score_at(as_of, known_at)
    WHERE learner = 'customer_health'
  )
  SELECT
    customer.id AS customer_id,
    customer.name,
    customer.status,
    customer.tier,
    customer.industry,
    customer.country,
    customer.website,
    customer.employees,
    customer.annual_revenue,
    customer.currency,
    customer.parent_id,
    customer.owner,
    customer.customer_since,
    customer.preferences,
    health.health,
    health.health_at,
    coalesce(contacts.contacts, 0) AS contacts,
    coalesce(deals.deals_open, 0) AS deals_open,
    coalesce(deals.deals_won, 0) AS deals_won,
    coalesce(deals.deals_lost, 0) AS deals_lost,
    coalesce(tickets.tickets, 0) AS tickets,
    coalesce(tickets.tickets_open, 0) AS tickets_open,
    tickets.mean_rating,
    coalesce(talks.interactions, 0) AS interactions,
    talks.last_interaction_at,
    talks.last_interaction
  FROM customer_at(as_of, known_at) AS customer
  LEFT JOIN contacts ON contacts.customer_id = customer.id
  LEFT JOIN deals ON deals.customer_id = customer.id
  LEFT JOIN tickets ON tickets.customer_id = customer.id
  LEFT JOIN talks ON talks.customer_id = customer.id
  LEFT JOIN health ON health.customer_id = customer.id
  ORDER BY customer.name, customer_id;

-- How customers are doing, those in most danger first: a row for each active customer. The band is
-- red below 1/3, amber below 2/3, else green; health_change is since 30 days before the moment.
CREATE OR REPLACE MACRO customer_health_board(as_of := NULL, known_at := NULL) AS TABLE
  WITH earlier AS (
    SELECT subject_id AS customer_id, arg_max(value, position) AS health
    FROM score_change_at(as_of, known_at)
    WHERE learner = 'customer_health'
      AND effective_at <= moment(as_of, known_at) - INTERVAL 30 DAY
    GROUP BY subject_id
  )
  SELECT
    profile.customer_id,
    profile.name,
    profile.tier,
    profile.owner,
    profile.health,
    CASE
      WHEN profile.health < 1 / 3 THEN 'red'
      WHEN profile.health < 2 / 3 THEN 'amber'
      WHEN profile.health IS NOT NULL THEN 'green'
    END AS band,
    profile.health - earlier.health AS health_change,
    profile.health_at,
    profile.deals_open,
    profile.deals_won,
    profile.tickets_open,
    profile.mean_rating,
    profile.last_interaction_at,
    round(days_between(profile.last_interaction_at, moment(as_of, known_at)), 2) AS quiet_days
  FROM customer_profile(as_of, known_at) AS profile
  LEFT JOIN earlier USING (customer_id)
  WHERE profile.status = 'active'
  ORDER BY health NULLS LAST, customer_id;

-- What each customer is worth: a row for each customer and currency of its deals.
CREATE OR REPLACE MACRO customer_revenue(as_of := NULL, known_at := NULL) AS TABLE
  SELECT
    customer_id,
    currency,
    count(*) FILTER (status = 'open') AS deals_open,
    coalesce(sum(amount) FILTER (status = 'open'), 0) AS open_amount,
    coalesce(round(sum(amount * probability) FILTER (status = 'open'), 2), 0) AS expected,
    count(*) FILTER (status = 'won') AS deals_won,
    coalesce(sum(amount) FILTER (status = 'won'), 0) AS won_amount,
    min(closed_at) FILTER (status = 'won') AS first_won_at,
    max(closed_at) FILTER (status = 'won') AS last_won_at
  FROM deal_at(as_of, known_at)
  WHERE customer_id IS NOT NULL
  GROUP BY customer_id, currency
  ORDER BY customer_id, currency;
