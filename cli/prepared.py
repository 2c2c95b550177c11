# %% [markdown]
"""
# What happened, and what came of it

Every picture and table below is of one moment: what had happened by `AS_OF`, as far as the log
knew it at `KNOWN_AT`. With `None` that is now. Change them and run all cells again: nothing is
overwritten, for the past stays where it is.
"""

# %% tags=["parameters"]
PLACE = "data"  # the directory of a workspace, or a snapshot: `backstory export tables`
AS_OF: str | None = None  # such as "2026-06-30": all of that day
KNOWN_AT: str | None = None  # a time, or a position in the log
SINCE: str | None = None  # where the waterfall begins; else with the first deal

# %%
from cli.look import Look

then = Look(PLACE, AS_OF, KNOWN_AT)
then

# %% [markdown]
"""
## From lead to sale

How many leads took each step, lost ones included, and by source.
"""

# %%
then.draw("funnel")

# %%
then.sql("""
    SELECT source, sum(captured) AS captured, sum(qualified) AS qualified,
        sum(converted) AS converted, sum(deals_won) AS won
    FROM lead_funnel() GROUP BY source ORDER BY captured DESC
""")

# %% [markdown]
"""
## How the pipeline moved

From what was open to what is open, each movement for itself: the bars add up.
"""

# %%
then.draw("waterfall", SINCE)

# %%
since = f"'{SINCE}'" if SINCE else "NULL"
then.sql(f"SELECT currency, opening, new, won, lost, closing FROM pipeline_waterfall({since})")

# %% [markdown]
"""
## Which months of leads became customers

Each row is a month of capture, each column the months since then. Rows end where the moment is.
"""

# %%
then.draw("cohort")

# %% [markdown]
"""
## Whether scores came true

What a model said first of each record, by tenths of its scale, and how often it then happened. On
the dashed line it was right.
"""

# %%
then.draw("scores")

# %%
then.sql("FROM learner_performance()")
