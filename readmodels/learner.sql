-- How good the learners are: what each foresaw, beside what came of it. What was foreseen is what
-- was said when the question first arose, never what was said once more was known.

-- How far the probabilities of each learner can be taken at their word: a row for each tenth of
-- the scale in which something was foreseen. With `since` only later outcomes count.
CREATE OR REPLACE MACRO learner_calibration(
  as_of := NULL, known_at := NULL, since := NULL
) AS TABLE
  SELECT
    learner,
    least(floor(predicted * 10), 9)::INTEGER AS bin,
    count(*) AS outcomes,
    avg(predicted) AS foreseen,
    avg(outcome::INTEGER) AS happened
  FROM score_outcome_at(as_of := as_of, known_at := known_at)
  WHERE since IS NULL OR occurred_at > moment_of(since)
  GROUP BY ALL
  ORDER BY learner, bin;

-- The same figures for parts of what was learned: the outcomes of each learner, in the order of
-- the log, in ten parts of one size. A model that learns gets better from part to part; one part
-- by itself also does not flatter a model that merely follows the base rate.
CREATE OR REPLACE MACRO learner_progress(as_of := NULL, known_at := NULL) AS TABLE
  WITH parted AS (
    SELECT
      *,
      outcome::INTEGER AS happened,
      least(greatest(predicted, 1e-15), 1 - 1e-15) AS bounded,
      ntile(10) OVER (PARTITION BY learner ORDER BY position) AS part
    FROM score_outcome_at(as_of := as_of, known_at := known_at)
  ), placed AS (
    SELECT
      *,
      rank() OVER (PARTITION BY learner, part ORDER BY predicted)
        + (count(*) OVER (PARTITION BY learner, part, predicted) - 1) / 2 AS place
    FROM parted
  )
  SELECT
    learner,
    part,
    min(occurred_at) AS since,
    max(occurred_at) AS until,
    count(*) AS outcomes,
    avg(happened) AS base_rate,
    (sum(place) FILTER (happened = 1) - sum(happened) * (sum(happened) + 1) / 2)
      / nullif(sum(happened) * (count(*) - sum(happened)), 0) AS auc,
    -avg(ln(if(happened = 1, bounded, 1 - bounded))) AS log_loss,
    avg((predicted - happened) ** 2) AS brier
  FROM placed
  GROUP BY ALL
  ORDER BY learner, part;

-- One row per learner: how many outcomes it is judged by, how often what it foresees happens at
-- all, how well it ranks (auc: the chance that a case that happened stood above one that did not)
-- and how far off its probabilities are (calibration_error: on average, over the tenths). With
-- `since` only later outcomes count.
CREATE OR REPLACE MACRO learner_performance(
  as_of := NULL, known_at := NULL, since := NULL
) AS TABLE
  WITH placed AS (
    SELECT
      learner,
      predicted,
      outcome::INTEGER AS happened,
      least(greatest(predicted, 1e-15), 1 - 1e-15) AS bounded,
      rank() OVER (PARTITION BY learner ORDER BY predicted)
        + (count(*) OVER (PARTITION BY learner, predicted) - 1) / 2 AS place
    FROM score_outcome_at(as_of := as_of, known_at := known_at)
    WHERE since IS NULL OR occurred_at > moment_of(since)
  ), off AS (
    SELECT learner, sum(outcomes * abs(foreseen - happened)) / sum(outcomes) AS calibration_error
    FROM learner_calibration(as_of := as_of, known_at := known_at, since := since)
    GROUP BY learner
  )
  SELECT
    learner,
    count(*) AS outcomes,
    avg(happened) AS base_rate,
    (sum(place) FILTER (happened = 1) - sum(happened) * (sum(happened) + 1) / 2)
      / nullif(sum(happened) * (count(*) - sum(happened)), 0) AS auc,
    -avg(ln(if(happened = 1, bounded, 1 - bounded))) AS log_loss,
    avg((predicted - happened) ** 2) AS brier,
    any_value(calibration_error) AS calibration_error
  FROM placed
  JOIN off USING (learner)
  GROUP BY learner
  ORDER BY learner;
