-- Leads: whom to talk to next, which sources are worth it, and where leads are lost on the way.

-- Leads that are worked on, the most promising first: a row for each open or qualified lead, with
-- the last score of the learner lead_conversion.
CREATE OR REPLACE MACRO lead_board(as_of := NULL, known_at := NULL) AS TABLE
  WITH foreseen AS (
    SELECT subject_id AS id, value AS score, scored_at
    FROM score_at(as_of, known_at)
    WHERE learner = 'lead_conversion'
  ), engaged AS (
    SELECT id, max(occurred_at) AS last_engaged_at
    FROM engagement_at(as_of, known_at)
    GROUP BY id
  )
  SELECT
    lead.id AS lead_id,
    lead.status,
    lead.owner,
    lead.source,
    lead.company,
    lead.title,
    lead.country,
    foreseen.score,
    foreseen.scored_at,
    lead.budget + lead.authority + lead.need + lead.timeline AS bant,
    lead.engagements,
    engaged.last_engaged_at,
    lead.captured_at,
    round(days_between(lead.captured_at, moment(as_of, known_at)), 2) AS age_days
  FROM lead_at(as_of, known_at) AS lead
  LEFT JOIN foreseen USING (id)
  LEFT JOIN engaged USING (id)
  WHERE lead.status IN ('open', 'qualified')
  ORDER BY score DESC NULLS LAST, captured_at, lead_id;

-- How far each lead came, the lost ones included: a row for each lead. A step once taken counts,
-- whatever became of the lead; the deal is the one that the conversion opened or named.
CREATE OR REPLACE MACRO lead_journey(as_of := NULL, known_at := NULL) AS TABLE
  SELECT
    lead.id AS lead_id,
    lead.source,
    lead.campaign_id,
    lead.owner,
    lead.status,
    lead.captured_at,
    lead.engagements > 0 AS was_engaged,
    lead.qualified_at IS NOT NULL AS was_qualified,
    lead.converted_at IS NOT NULL AS was_converted,
    lead.converted_at,
    lead.reason,
    deal.id AS deal_id,
    deal.status AS deal_status,
    deal.amount,
    deal.currency
  FROM lead_at(as_of, known_at) AS lead
  LEFT JOIN deal_at(as_of, known_at) AS deal ON deal.id = lead.deal_id
  ORDER BY captured_at, lead.id;

-- What each source of leads brought: its leads by what became of them, and the deals they led to.
-- conversion_rate is the share of all captured leads, the open ones included.
CREATE OR REPLACE MACRO lead_sources(as_of := NULL, known_at := NULL) AS TABLE
  SELECT
    source,
    count(*) AS captured,
    count(*) FILTER (status IN ('open', 'qualified')) AS in_work,
    count(*) FILTER (was_qualified) AS qualified,
    count(*) FILTER (status = 'disqualified') AS disqualified,
    count(*) FILTER (was_converted) AS converted,
    share(count(*) FILTER (was_converted), count(*)) AS conversion_rate,
    count(DISTINCT deal_id) AS deals,
    count(DISTINCT deal_id) FILTER (deal_status = 'won') AS deals_won,
    count(DISTINCT deal_id) FILTER (deal_status = 'lost') AS deals_lost
  FROM lead_journey(as_of, known_at)
  GROUP BY source
  ORDER BY deals_won DESC, converted DESC, source;

-- What each source of leads earned, by currency: a row for each source and currency of its deals.
-- A deal that several leads led to counts for the source of the first.
CREATE OR REPLACE MACRO lead_source_revenue(as_of := NULL, known_at := NULL) AS TABLE
  WITH brought AS (
    FROM lead_journey(as_of, known_at)
    WHERE deal_id IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY deal_id ORDER BY captured_at, lead_id) = 1
  )
  SELECT
    source,
    currency,
    count(*) AS deals,
    count(*) FILTER (deal_status = 'won') AS deals_won,
    coalesce(sum(amount) FILTER (deal_status = 'won'), 0) AS won_amount,
    count(*) FILTER (deal_status = 'open') AS deals_open,
    coalesce(sum(amount) FILTER (deal_status = 'open'), 0) AS open_amount
  FROM brought
  GROUP BY source, currency
  ORDER BY currency, won_amount DESC, source;

-- The way of each month's leads to a sale, the lost ones included: a row for each month in which
-- leads were captured, and source. captured = in_work + disqualified + converted, and
-- deals = deals_open + deals_won + deals_lost; every step counts all who ever took it.
CREATE OR REPLACE MACRO lead_funnel(as_of := NULL, known_at := NULL) AS TABLE
  SELECT
    date_trunc('month', captured_at)::DATE AS month,
    source,
    count(*) AS captured,
    count(*) FILTER (was_engaged) AS engaged,
    count(*) FILTER (was_qualified) AS qualified,
    count(*) FILTER (was_converted) AS converted,
    count(*) FILTER (status = 'disqualified') AS disqualified,
    count(*) FILTER (status IN ('open', 'qualified')) AS in_work,
    count(deal_id) AS deals,
    count(*) FILTER (deal_status = 'open') AS deals_open,
    count(*) FILTER (deal_status = 'won') AS deals_won,
    count(*) FILTER (deal_status = 'lost') AS deals_lost,
    share(count(*) FILTER (was_converted), count(*)) AS conversion_rate,
    share(count(*) FILTER (deal_status = 'won'), count(*)) AS win_rate
  FROM lead_journey(as_of, known_at)
  GROUP BY month, source
  ORDER BY month, source;

-- How long leads take to be converted: a row for each month in which leads were captured and each
-- month since, up to the moment. months_since is 0 in the month of capture; converted are those who
-- had become customers by the end of that month, or by the moment in the one that is not over.
CREATE OR REPLACE MACRO lead_cohorts(as_of := NULL, known_at := NULL) AS TABLE
  WITH journey AS (
    SELECT
      date_trunc('month', captured_at)::DATE AS month,
      date_diff('month', captured_at, converted_at) AS converted_after
    FROM lead_journey(as_of, known_at)
  ), cohort AS (
    SELECT
      month,
      unnest(range(date_diff('month', month, moment(as_of, known_at)::DATE) + 1)) AS months_since
    FROM (SELECT DISTINCT month FROM journey)
  )
  SELECT
    month,
    cohort.months_since,
    count(*) AS captured,
    count(*) FILTER (converted_after <= cohort.months_since) AS converted,
    share(count(*) FILTER (converted_after <= cohort.months_since), count(*)) AS conversion_rate
  FROM cohort
  JOIN journey USING (month)
  GROUP BY month, cohort.months_since
  ORDER BY month, cohort.months_since;
