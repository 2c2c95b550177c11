-- Every score taken apart: a row for each input, with what it said, what that gave in log-odds,
-- and what both were in the score before. The log_odds of a score add up to those of its value;
-- what moved adds up to how far those moved. Where something moved though the input said the same
-- as before (changed = false), it is the learner who had learned meanwhile.
CREATE OR REPLACE MACRO score_explained(as_of := NULL, known_at := NULL) AS TABLE
  WITH said AS (
    SELECT
      *,
      inputs::MAP(VARCHAR, VARCHAR) AS told,
      contributions::MAP(VARCHAR, DOUBLE) AS gave,
      lag(value) OVER earlier AS previous_value,
      lag(inputs) OVER earlier::MAP(VARCHAR, VARCHAR) AS told_before,
      lag(contributions) OVER earlier::MAP(VARCHAR, DOUBLE) AS gave_before
    FROM score_change_at(as_of := as_of, known_at := known_at)
    WINDOW earlier AS (PARTITION BY learner, subject_id ORDER BY position)
  ), taken_apart AS (
    SELECT
      *,
      unnest(list_sort(list_distinct(
        list_concat(map_keys(gave), coalesce(map_keys(gave_before), []))))) AS input
    FROM said
  )
  SELECT
    learner,
    subject_type,
    subject_id,
    occurred_at,
    position,
    cause_position,
    model_version,
    value,
    previous_value,
    input,
    told[input] AS says,
    told_before[input] AS said_before,
    told_before IS NOT NULL AND told[input] IS DISTINCT FROM told_before[input] AS changed,
    coalesce(gave[input], 0) AS log_odds,
    if(previous_value IS NULL, NULL, coalesce(gave_before[input], 0)) AS log_odds_before,
    if(previous_value IS NULL, NULL, coalesce(gave[input], 0) - coalesce(gave_before[input], 0))
      AS moved
  FROM taken_apart
  ORDER BY position, abs(coalesce(moved, log_odds)) DESC, input;
