-- Users: what everybody who owns something has in hand, and achieved.

-- What each owner has in hand and has done: a row for each user who owns or owned something, with
-- credit for what was won, lost or solved going to the owner at that time. Amounts: owner_sales.
CREATE OR REPLACE MACRO owner_performance(as_of := NULL, known_at := NULL) AS TABLE
  WITH counted AS (
    SELECT owner, CASE
      WHEN status IN ('open', 'qualified') THEN 'leads_in_work'
      WHEN status = 'converted' THEN 'leads_converted'
      ELSE 'leads_disqualified' END AS what
    FROM lead_at(as_of, known_at)
    UNION ALL
    SELECT owner, 'deals_open'
    FROM deal_at(as_of, known_at)
    WHERE status = 'open'
    UNION ALL
    SELECT owner, 'deals_' || outcome
    FROM closed_deals(as_of, known_at)
    UNION ALL
    SELECT owner, if(status = 'completed', 'activities_done', 'activities_to_do')
    FROM activity_at(as_of, known_at)
    WHERE status <> 'cancelled'
    UNION ALL
    SELECT owner, 'activities_overdue'
    FROM overdue_activities(as_of, known_at)
    UNION ALL
    SELECT owner, if(status IN ('solved', 'closed'), 'tickets_solved', 'tickets_open')
    FROM ticket_at(as_of, known_at)
  )
  SELECT
    owner,
    any_value(user.handle) AS handle,
    any_value(user.team) AS team,
    count(*) FILTER (what = 'leads_in_work') AS leads_in_work,
    count(*) FILTER (what = 'leads_converted') AS leads_converted,
    count(*) FILTER (what = 'leads_disqualified') AS leads_disqualified,
    count(*) FILTER (what = 'deals_open') AS deals_open,
    count(*) FILTER (what = 'deals_won') AS deals_won,
    count(*) FILTER (what = 'deals_lost') AS deals_lost,
    share(
      count(*) FILTER (what = 'deals_won'),
      count(*) FILTER (what IN ('deals_won', 'deals_lost'))
    ) AS win_rate,
    count(*) FILTER (what = 'activities_to_do') AS activities_to_do,
    count(*) FILTER (what = 'activities_overdue') AS activities_overdue,
    count(*) FILTER (what = 'activities_done') AS activities_done,
    count(*) FILTER (what = 'tickets_open') AS tickets_open,
    count(*) FILTER (what = 'tickets_solved') AS tickets_solved
  FROM counted
  LEFT JOIN user_at(as_of, known_at) AS user ON user.id = counted.owner
  WHERE owner IS NOT NULL
  GROUP BY owner
  ORDER BY deals_won DESC, tickets_solved DESC, owner;

-- What each owner sells: a row for each owner and currency. expected is the amount of each open
-- deal times its probability; won and lost deals count for who had them when they were closed.
CREATE OR REPLACE MACRO owner_sales(as_of := NULL, known_at := NULL) AS TABLE
  WITH deal AS (
    SELECT owner, currency, 'open' AS outcome, amount, amount * probability AS expected
    FROM deal_at(as_of, known_at)
    WHERE status = 'open'
    UNION ALL
    SELECT owner, currency, outcome, amount, 0
    FROM closed_deals(as_of, known_at)
  )
  SELECT
    owner,
    currency,
    count(*) FILTER (outcome = 'open') AS deals_open,
    coalesce(sum(amount) FILTER (outcome = 'open'), 0) AS open_amount,
    round(sum(expected), 2) AS expected,
    count(*) FILTER (outcome = 'won') AS deals_won,
    coalesce(sum(amount) FILTER (outcome = 'won'), 0) AS won_amount,
    count(*) FILTER (outcome = 'lost') AS deals_lost,
    coalesce(sum(amount) FILTER (outcome = 'lost'), 0) AS lost_amount
  FROM deal
  GROUP BY owner, currency
  ORDER BY currency, won_amount DESC, owner NULLS LAST;
