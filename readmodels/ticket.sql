-- Tickets: what waits for an answer, how long requesters wait, and what they think of it.

-- What is not solved yet: a row for each status, priority and owner (NULL: nobody's).
CREATE OR REPLACE MACRO ticket_backlog(as_of := NULL, known_at := NULL) AS TABLE
  SELECT
    status,
    priority,
    owner,
    count(*) AS tickets,
    count(*) FILTER (replies = 0) AS unanswered,
    min(opened_at) AS oldest_opened_at,
    round(max(days_between(opened_at, moment(as_of, known_at))), 2) AS oldest_days,
    round(median(days_between(opened_at, moment(as_of, known_at))), 2) AS median_days
  FROM ticket_at(as_of, known_at)
  WHERE status NOT IN ('solved', 'closed')
  GROUP BY status, priority, owner
  ORDER BY
    list_position(['new', 'open', 'pending', 'on_hold'], status),
    list_position(['urgent', 'high', 'normal', 'low'], priority),
    owner NULLS LAST;

-- How the backlog came to be what it is: a row for each day (UTC) from the first ticket to the
-- moment. backlog is what was not solved at the end of the day: that of the day before, + opened
-- + reopened - solved. A ticket that is merged into another one by then is counted on no day.
CREATE OR REPLACE MACRO ticket_backlog_daily(as_of := NULL, known_at := NULL) AS TABLE
  WITH change AS (
    SELECT
      effective_at::DATE AS day,
      from_status,
      coalesce(from_status IN ('solved', 'closed'), false) AS was_solved,
      to_status IN ('solved', 'closed') AS is_solved
    FROM ticket_status_change_at(as_of, known_at)
    SEMI JOIN ticket_at(as_of, known_at) USING (id)
    WHERE has_begun(effective_at, as_of)
  ), counted AS (
    SELECT
      day,
      count(*) FILTER (from_status IS NULL) AS opened,
      count(*) FILTER (was_solved AND NOT is_solved) AS reopened,
      count(*) FILTER (is_solved AND NOT was_solved) AS solved
    FROM change
    GROUP BY day
  ), calendar AS (
    SELECT unnest(generate_series(first_day, last_day, INTERVAL 1 DAY))::DATE AS day
    FROM (SELECT min(day) AS first_day FROM counted),
      (SELECT moment(as_of, known_at)::DATE AS last_day)
  )
  SELECT
    day,
    coalesce(opened, 0) AS opened,
    coalesce(reopened, 0) AS reopened,
    coalesce(solved, 0) AS solved,
    sum(coalesce(opened, 0) + coalesce(reopened, 0) - coalesce(solved, 0))
      OVER (ORDER BY day) AS backlog
  FROM calendar
  LEFT JOIN counted USING (day)
  ORDER BY day;

-- How long each requester waited: a row for each ticket. The first response is the first reply of
-- support, when it was given; a ticket is solved when it was last solved and not taken up again.
-- What has not happened yet is NULL; waiting_hours is what a ticket not solved has taken so far.
CREATE OR REPLACE MACRO ticket_times(as_of := NULL, known_at := NULL) AS TABLE
  WITH answered AS (
    SELECT id, min(occurred_at) AS first_response_at
    FROM ticket_reply_at(as_of, known_at)
    WHERE direction = 'outbound'
    GROUP BY id
  )
  SELECT
    ticket.id AS ticket_id,
    ticket.status,
    ticket.priority,
    ticket.category,
    ticket.channel,
    ticket.owner,
    ticket.customer_id,
    ticket.opened_at,
    answered.first_response_at,
    ticket.solved_at,
    CASE WHEN answered.first_response_at < ticket.opened_at THEN 0
      ELSE round(hours_between(ticket.opened_at, answered.first_response_at), 2)
    END AS first_response_hours,
    round(hours_between(ticket.opened_at, ticket.solved_at), 2) AS resolution_hours,
    CASE WHEN ticket.solved_at IS NULL
      THEN round(hours_between(ticket.opened_at, moment(as_of, known_at)), 2)
    END AS waiting_hours,
    ticket.replies,
    ticket.comments,
    ticket.reopenings,
    ticket.rating
  FROM ticket_at(as_of, known_at) AS ticket
  LEFT JOIN answered USING (id)
  ORDER BY opened_at, ticket_id;

-- How fast help is: a row for each month in which tickets were opened, and priority; half of the
-- tickets took no longer than the median, nine in ten no longer than p90.
CREATE OR REPLACE MACRO ticket_summary(as_of := NULL, known_at := NULL) AS TABLE
  SELECT
    date_trunc('month', opened_at)::DATE AS month,
    priority,
    count(*) AS tickets,
    count(first_response_at) AS answered,
    count(solved_at) AS solved,
    count(*) FILTER (reopenings > 0) AS reopened,
    round(median(first_response_hours), 2) AS first_response_median_hours,
    round(quantile_cont(first_response_hours, 0.9), 2) AS first_response_p90_hours,
    round(median(resolution_hours), 2) AS resolution_median_hours,
    round(quantile_cont(resolution_hours, 0.9), 2) AS resolution_p90_hours
  FROM ticket_times(as_of, known_at)
  GROUP BY month, priority
  ORDER BY month, list_position(['urgent', 'high', 'normal', 'low'], priority);

-- What requesters think of the help: a row for each month in which they said so, and the owner the
-- ticket had then. Of each ticket counts the last rating; csat is the share of 4 and 5.
CREATE OR REPLACE MACRO ticket_csat(as_of := NULL, known_at := NULL) AS TABLE
  WITH rated AS (
    FROM ticket_rating_at(as_of, known_at)
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY position DESC) = 1
  )
  SELECT
    date_trunc('month', occurred_at)::DATE AS month,
    ticket_owner AS owner,
    count(*) AS ratings,
    share(count(*) FILTER (rating >= 4), count(*)) AS csat,
    round(avg(rating), 2) AS mean_rating,
    count(*) FILTER (rating <= 2) AS bad_ratings
  FROM rated
  GROUP BY month, owner
  ORDER BY month, owner NULLS LAST;
