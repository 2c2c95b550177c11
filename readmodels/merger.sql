-- Records that are one with others.

-- Records that are merged into others: a row for each, and the one it is shown with.
CREATE OR REPLACE MACRO records_merged(as_of := NULL, known_at := NULL) AS TABLE
  SELECT
    id,
    kind,
    arg_max_null(merged_into, position) AS merged_into,
    max(effective_at) AS merged_at,
    max(position) AS position
  FROM merger_at(as_of, known_at)
  WHERE has_begun(effective_at, as_of)
  GROUP BY id, kind
  HAVING arg_max_null(merged_into, position) IS NOT NULL
  ORDER BY position;
