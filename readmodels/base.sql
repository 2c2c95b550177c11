-- What the reports share: the moment they speak of, spans of time, shares.

-- The moment a report speaks of: the one it is asked for, or else the time of the newest event.
-- What is still going on lasts until then; no report looks at a clock.
CREATE OR REPLACE MACRO moment(as_of := NULL, known_at := NULL) AS (
  coalesce(
    moment_of(as_of),
    getvariable('as_of')::TIMESTAMPTZ,
    (SELECT max(occurred_at) FROM event_at(NULL, known_at))
  )
);

-- Whether what holds from a time on holds at the moment a report is asked for.
CREATE OR REPLACE MACRO has_begun(since, as_of := NULL) AS
  coalesce(since <= coalesce(moment_of(as_of), getvariable('as_of')::TIMESTAMPTZ), true);

-- Hours between two times.
CREATE OR REPLACE MACRO hours_between(since, until) AS
  (epoch_us(until) - epoch_us(since)) / 3_600_000_000;

-- Days between two times; a day is 24 hours.
CREATE OR REPLACE MACRO days_between(since, until) AS
  (epoch_us(until) - epoch_us(since)) / 86_400_000_000;

-- A part of a whole, 0 to 1, to the ten-thousandth; NULL when there is no whole.
CREATE OR REPLACE MACRO share(part, whole) AS round(part / nullif(whole, 0), 4);
