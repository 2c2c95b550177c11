-- Deals: what they promise, how the pipeline came to be what it is, and how deals end.

-- What is to be expected when: a row for each month, forecast category and currency. Open deals
-- stand in the month they are expected to close in (NULL: nobody knows), won ones in the month
-- they were won, for what they brought; lost deals are left out.
CREATE OR REPLACE MACRO deal_forecast(as_of := NULL, known_at := NULL) AS TABLE
  WITH due AS (
    SELECT
      *,
      CASE status WHEN 'won' THEN closed_at::DATE ELSE expected_close END AS due_on
    FROM deal_at(as_of, known_at)
    WHERE status IN ('open', 'won')
  )
  SELECT
    date_trunc('month', due_on)::DATE AS month,
    forecast_category,
    currency,
    count(*) AS deals,
    sum(amount) AS amount,
    round(sum(amount * probability), 2) AS expected,
    count(*) FILTER (status = 'open' AND due_on < moment(as_of, known_at)::DATE) AS deals_overdue
  FROM due
  GROUP BY month, forecast_category, currency
  ORDER BY month NULLS LAST, currency, forecast_category;

-- Every change of what is open in the pipeline, after `since` (NULL: from the first deal on) and up
-- to the moment: a row for each deal, event and movement. `amount` is what the movement adds to the
-- open pipeline in its currency, or takes from it. Deals come in as new or reopened and go out as
-- won, lost or retracted; open ones are expanded or contracted; with currency_changed the old amount goes out
-- in one currency and the new one comes in in another; pushed ones, expected to close later, add
-- nothing. deal_amount is what the deal was worth after the movement.
CREATE OR REPLACE MACRO pipeline_movements(
  since := NULL, as_of := NULL, known_at := NULL
) AS TABLE
  WITH change AS (
    SELECT
      new.*,
      old.status IS NOT DISTINCT FROM 'open' AS was_open,
      new.status = 'open' AS is_open,
      old.status AS old_status,
      old.amount AS old_amount,
      old.currency AS old_currency,
      old.expected_close AS old_expected_close
    FROM deal_history AS new
    LEFT JOIN deal_history AS old ON old.id = new.id AND old.position_to = new.position
    WHERE (since IS NULL OR new.valid_from > moment_of(since))
      AND has_begun(new.valid_from, as_of)
      AND (known_at IS NULL OR new.position <= known_at::BIGINT)
  ), moved AS (
    SELECT
      if(coalesce(old_status, 'retracted') = 'retracted', 'new', 'reopened') AS movement,
      currency,
      amount AS added,
      *
    FROM change
    WHERE is_open AND NOT was_open
    UNION ALL
    SELECT if(amount > old_amount, 'expanded', 'contracted'), currency, amount - old_amount, *
    FROM change
    WHERE was_open AND currency = old_currency AND amount <> old_amount
    UNION ALL
    SELECT 'currency_changed', old_currency, -old_amount, *
    FROM change
    WHERE was_open AND currency <> old_currency
    UNION ALL
    SELECT 'currency_changed', currency, amount, *
    FROM change
    WHERE was_open AND currency <> old_currency
    UNION ALL
    SELECT status, currency, -amount, *
    FROM change
    WHERE was_open AND NOT is_open AND status <> 'retracted'
    UNION ALL
    SELECT status, old_currency, -old_amount, *
    FROM change
    WHERE was_open AND status = 'retracted'
    UNION ALL
    SELECT 'pushed', currency, 0, *
    FROM change
    WHERE was_open AND is_open AND expected_close > old_expected_close
  )
  SELECT
    id AS deal_id,
    valid_from AS moved_at,
    position,
    movement,
    currency,
    added AS amount,
    amount AS deal_amount,
    stage,
    owner,
    pipeline_id,
    actor
  FROM moved
  ORDER BY position, movement, currency;

-- From what was open in the pipeline to what is open now: a row for each currency, after `since`
-- (NULL: from the first deal on) and up to the moment. Movements are signed as in
-- pipeline_movements: opening + new + reopened + expanded + contracted + currency_changed + won
-- + lost + retracted = closing; residual is what is left unexplained, and always 0. pushed is what the deals
-- were worth that are expected later than before; each counts once.
CREATE OR REPLACE MACRO pipeline_waterfall(
  since := NULL, as_of := NULL, known_at := NULL
) AS TABLE
  WITH movement AS (
    SELECT deal_id, movement, currency, amount, deal_amount, position
    FROM pipeline_movements(since, as_of, known_at)
    UNION ALL
    SELECT id, 'opening', currency, amount, amount, position
    FROM deal_at(since, known_at)
    WHERE status = 'open' AND since IS NOT NULL
    UNION ALL
    SELECT id, 'closing', currency, -amount, amount, position
    FROM deal_at(as_of, known_at)
    WHERE status = 'open'
  ), pushed AS (
    SELECT currency, deal_id, arg_max(deal_amount, position) AS amount
    FROM movement
    WHERE movement = 'pushed'
    GROUP BY currency, deal_id
  ), pushes AS (
    SELECT currency, count(*) AS pushed_deals, sum(amount) AS pushed
    FROM pushed
    GROUP BY currency
  )
  SELECT
    currency,
    coalesce(sum(amount) FILTER (movement = 'opening'), 0) AS opening,
    coalesce(sum(amount) FILTER (movement = 'new'), 0) AS new,
    coalesce(sum(amount) FILTER (movement = 'reopened'), 0) AS reopened,
    coalesce(sum(amount) FILTER (movement = 'expanded'), 0) AS expanded,
    coalesce(sum(amount) FILTER (movement = 'contracted'), 0) AS contracted,
    coalesce(sum(amount) FILTER (movement = 'currency_changed'), 0) AS currency_changed,
    coalesce(sum(amount) FILTER (movement = 'won'), 0) AS won,
    coalesce(sum(amount) FILTER (movement = 'lost'), 0) AS lost,
    coalesce(sum(amount) FILTER (movement = 'retracted'), 0) AS retracted,
    coalesce(-sum(amount) FILTER (movement = 'closing'), 0) AS closing,
    sum(amount) AS residual,
    count(*) FILTER (movement = 'opening') AS opening_deals,
    count(*) FILTER (movement = 'new') AS new_deals,
    count(*) FILTER (movement = 'won') AS won_deals,
    count(*) FILTER (movement = 'lost') AS lost_deals,
    count(*) FILTER (movement = 'closing') AS closing_deals,
    coalesce(any_value(pushes.pushed_deals), 0) AS pushed_deals,
    coalesce(any_value(pushes.pushed), 0) AS pushed
  FROM movement
  LEFT JOIN pushes USING (currency)
  GROUP BY currency
  ORDER BY currency;

-- Deals that are closed, as they were closed: a row for each deal that is won or lost at the
-- moment. One that was reopened counts again only when it is closed again. The owner is the one
-- who had the deal when it was closed.
CREATE OR REPLACE MACRO closed_deals(as_of := NULL, known_at := NULL) AS TABLE
  WITH closing AS (
    SELECT id, arg_max(deal_owner, position) AS owner
    FROM deal_closed_at(as_of, known_at)
    WHERE has_begun(effective_at, as_of)
    GROUP BY id
  )
  SELECT
    deal.id AS deal_id,
    deal.status AS outcome,
    closing.owner,
    deal.closed_at,
    date_trunc('quarter', deal.closed_at)::DATE AS quarter,
    deal.amount,
    deal.currency,
    deal.product,
    deal.reason,
    deal.competitor,
    deal.customer_id,
    deal.pipeline_id,
    round(days_between(deal.opened_at, deal.closed_at), 2) AS cycle_days
  FROM deal_at(as_of, known_at) AS deal
  LEFT JOIN closing USING (id)
  WHERE deal.status IN ('won', 'lost')
  ORDER BY closed_at, deal_id;

-- Who won and who lost: a row for each quarter of closing, owner and currency, the owner being the
-- one at the time of closing. win_rate is the share of the closed deals that were won; cycles are
-- the days from opening to closing.
CREATE OR REPLACE MACRO win_loss(as_of := NULL, known_at := NULL) AS TABLE
  SELECT
    quarter,
    owner,
    currency,
    count(*) FILTER (outcome = 'won') AS won,
    count(*) FILTER (outcome = 'lost') AS lost,
    share(count(*) FILTER (outcome = 'won'), count(*)) AS win_rate,
    coalesce(sum(amount) FILTER (outcome = 'won'), 0) AS won_amount,
    coalesce(sum(amount) FILTER (outcome = 'lost'), 0) AS lost_amount,
    round(avg(cycle_days) FILTER (outcome = 'won'), 2) AS won_cycle_days,
    round(avg(cycle_days) FILTER (outcome = 'lost'), 2) AS lost_cycle_days,
    round(avg(cycle_days), 2) AS cycle_days
  FROM closed_deals(as_of, known_at)
  GROUP BY quarter, owner, currency
  ORDER BY quarter, owner NULLS LAST, currency;

-- What is won and what is lost: a row for each product and currency.
CREATE OR REPLACE MACRO win_loss_by_product(as_of := NULL, known_at := NULL) AS TABLE
  SELECT
    product,
    currency,
    count(*) FILTER (outcome = 'won') AS won,
    count(*) FILTER (outcome = 'lost') AS lost,
    share(count(*) FILTER (outcome = 'won'), count(*)) AS win_rate,
    coalesce(sum(amount) FILTER (outcome = 'won'), 0) AS won_amount,
    coalesce(sum(amount) FILTER (outcome = 'lost'), 0) AS lost_amount,
    round(avg(cycle_days), 2) AS cycle_days
  FROM closed_deals(as_of, known_at)
  GROUP BY product, currency
  ORDER BY currency, won_amount DESC, product NULLS LAST;

-- Why deals are lost: a row for each reason, competitor (if one was named) and currency.
-- share_of_lost is the reason's part of all deals lost in the currency.
CREATE OR REPLACE MACRO loss_reasons(as_of := NULL, known_at := NULL) AS TABLE
  SELECT
    reason,
    competitor,
    currency,
    count(*) AS lost,
    sum(amount) AS lost_amount,
    share(count(*), sum(count(*)) OVER (PARTITION BY currency)) AS share_of_lost
  FROM closed_deals(as_of, known_at)
  WHERE outcome = 'lost'
  GROUP BY reason, competitor, currency
  ORDER BY currency, lost DESC, reason, competitor NULLS LAST;
