-- Pipelines and the way of deals through their stages.

-- The stages of each pipeline, in their order: a row for each stage as it is defined at the moment.
-- Deals keep the probability that their stage had when they came into it.
CREATE OR REPLACE MACRO pipeline_stages(as_of := NULL, known_at := NULL) AS TABLE
  WITH listed AS (
    SELECT
      id AS pipeline_id,
      name AS pipeline,
      unnest(stages::JSON[]) AS stage,
      generate_subscripts(stages::JSON[], 1) AS stage_number
    FROM pipeline_at(as_of, known_at)
  )
  SELECT
    pipeline_id,
    pipeline,
    stage_number,
    stage ->> 'key' AS stage,
    stage ->> 'name' AS stage_name,
    stage ->> 'status' AS stage_status,
    (stage ->> 'probability')::DECIMAL(5, 4) AS probability,
    stage ->> 'forecast_category' AS forecast_category
  FROM listed
  ORDER BY pipeline, pipeline_id, stage_number;

-- What is in the pipelines: a row for each pipeline, open stage and currency of deals in it, in
-- the order of the stages. expected is the amount times the probability of each deal.
CREATE OR REPLACE MACRO deal_pipeline(as_of := NULL, known_at := NULL) AS TABLE
  SELECT
    any_value(stages.pipeline) AS pipeline,
    any_value(stages.stage_name) AS stage_name,
    deal.stage,
    deal.currency,
    count(*) AS deals,
    sum(deal.amount) AS amount,
    round(sum(deal.amount * deal.probability), 2) AS expected,
    round(avg(days_between(deal.stage_since, moment(as_of, known_at))), 2) AS mean_days_in_stage,
    deal.pipeline_id,
    any_value(stages.stage_number) AS stage_number
  FROM deal_at(as_of, known_at) AS deal
  LEFT JOIN pipeline_stages(as_of, known_at) AS stages USING (pipeline_id, stage)
  WHERE deal.status = 'open'
  GROUP BY deal.pipeline_id, deal.stage, deal.currency
  ORDER BY pipeline, pipeline_id, stage_number NULLS LAST, stage, currency;

-- How long deals stood in the stages on their way: a row for each deal and stage it was in. A deal
-- that came back has the time of its last stay and of all stays together; where a deal still
-- stands, its stay lasts until the moment. A deal that was won or lost stands in no stage.
CREATE OR REPLACE MACRO stage_durations(as_of := NULL, known_at := NULL) AS TABLE
  WITH stay AS (
    SELECT
      *,
      effective_at AS entered_at,
      lead(effective_at) OVER (PARTITION BY id ORDER BY position) AS exited_at
    FROM stage_change_at(as_of, known_at)
    WHERE has_begun(effective_at, as_of)
  ), lasted AS (
    SELECT
      *,
      days_between(entered_at, coalesce(exited_at, moment(as_of, known_at))) AS days
    FROM stay
    WHERE kind NOT IN ('won', 'lost')
  )
  SELECT
    id AS deal_id,
    pipeline_id,
    to_stage AS stage,
    count(*) AS stays,
    min(entered_at) AS first_entered_at,
    CASE WHEN count(exited_at) = count(*) THEN max(exited_at) END AS last_exited_at,
    round(arg_max(days, position), 2) AS latest_days,
    round(sum(days), 2) AS cumulative_days
  FROM lasted
  GROUP BY id, pipeline_id, to_stage
  ORDER BY deal_id, first_entered_at, stage;

-- How long deals stand in each stage: a row for each pipeline and stage. Of each deal counts the
-- time of all its stays together; deals_there are those that have not left it.
CREATE OR REPLACE MACRO stage_duration_summary(as_of := NULL, known_at := NULL) AS TABLE
  SELECT
    any_value(stages.pipeline) AS pipeline,
    durations.stage,
    count(*) AS deals,
    count(*) FILTER (last_exited_at IS NULL) AS deals_there,
    count(*) FILTER (stays > 1) AS deals_returned,
    round(avg(cumulative_days), 2) AS mean_days,
    round(median(cumulative_days), 2) AS median_days,
    round(quantile_cont(cumulative_days, 0.9), 2) AS p90_days,
    durations.pipeline_id,
    any_value(stages.stage_number) AS stage_number
  FROM stage_durations(as_of, known_at) AS durations
  LEFT JOIN pipeline_stages(as_of, known_at) AS stages USING (pipeline_id, stage)
  GROUP BY durations.pipeline_id, durations.stage
  ORDER BY pipeline, pipeline_id, stage_number NULLS LAST, stage;
