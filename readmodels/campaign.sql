-- Campaigns: whom they reached, what they cost, and what came of it.

-- The touches on the way to each won deal: a row for each deal and touch, in the order in which
-- they happened. The people behind a deal are its contact, the lead the contact came from, and the
-- leads that were converted to it; what bounced or made somebody leave is no touch, nor is what
-- came after the deal was won.
CREATE OR REPLACE MACRO deal_touches(as_of := NULL, known_at := NULL) AS TABLE
  WITH won AS (
    SELECT id AS deal_id, contact_id, amount, currency, closed_at
    FROM deal_at(as_of, known_at)
    WHERE status = 'won'
  ), behind AS (
    SELECT won.*, contact_id AS member_id
    FROM won
    UNION
    SELECT won.*, contact.lead_id
    FROM won
    JOIN contact_at(as_of, known_at) AS contact ON contact.id = won.contact_id
    UNION
    SELECT won.*, lead.id
    FROM won
    JOIN lead_at(as_of, known_at) AS lead USING (deal_id)
  )
  SELECT
    behind.deal_id,
    behind.amount,
    behind.currency,
    behind.closed_at,
    touch.campaign_id,
    touch.member_id,
    touch.kind,
    touch.occurred_at,
    touch.position,
    row_number() OVER (PARTITION BY deal_id ORDER BY touch.occurred_at, touch.position) AS number,
    count(*) OVER (PARTITION BY deal_id) AS touches
  FROM behind
  JOIN touch_at(as_of, known_at) AS touch USING (member_id)
  WHERE touch.kind NOT IN ('bounced', 'opted_out') AND touch.occurred_at <= behind.closed_at
  ORDER BY deal_id, number;

-- Who brought a won deal about, by three models: `first` gives all of its amount to the first
-- touch, `last` to the last, `even` the same to each, to the cent. A row for each model, deal and
-- touch that has credit; a deal nobody was touched on the way to has one without a campaign. In
-- each model the credits of a deal add up to its amount; touches never change, so neither do they.
CREATE OR REPLACE MACRO campaign_credits(as_of := NULL, known_at := NULL) AS TABLE
  WITH touched AS (
    SELECT *, (amount * 100)::HUGEINT AS cents
    FROM deal_touches(as_of, known_at)
  ), untouched AS (
    SELECT id AS deal_id, currency, amount
    FROM deal_at(as_of, known_at) AS deal
    ANTI JOIN touched ON touched.deal_id = deal.id
    WHERE status = 'won'
  )
  SELECT 'first' AS model, deal_id, campaign_id, position, currency, amount AS credit
  FROM touched
  WHERE number = 1
  UNION ALL
  SELECT 'last', deal_id, campaign_id, position, currency, amount
  FROM touched
  WHERE number = touches
  UNION ALL
  SELECT 'even', deal_id, campaign_id, position, currency,
    -- The difference of two rounded running totals: what is rounded off is not lost.
    ((cents * number // touches - cents * (number - 1) // touches) * 0.01)::DECIMAL(18, 2)
  FROM touched
  UNION ALL
  SELECT model, deal_id, NULL, NULL, currency, amount
  FROM untouched, (SELECT unnest(['first', 'last', 'even']) AS model)
  ORDER BY model, deal_id, position;

-- What campaigns earned: a row for each model, campaign (NULL: no campaign touched the deal) and
-- currency. In each model and currency the credits add up to the amount of all won deals.
CREATE OR REPLACE MACRO campaign_attribution(as_of := NULL, known_at := NULL) AS TABLE
  SELECT
    credits.model,
    credits.campaign_id,
    any_value(campaign.name) AS campaign,
    credits.currency,
    count(DISTINCT credits.deal_id) AS deals,
    sum(credits.credit) AS credit
  FROM campaign_credits(as_of, known_at) AS credits
  LEFT JOIN campaign_at(as_of, known_at) AS campaign ON campaign.id = credits.campaign_id
  GROUP BY credits.model, credits.campaign_id, credits.currency
  ORDER BY credits.model, credits.currency, credit DESC, campaign_id NULLS LAST;

-- How each campaign does: a row for each. Reactions count people, not touches. Converted are leads
-- that were touched and then converted; revenue is the amount of all deals that were won after a
-- touch, in the campaign's currency: two campaigns that touched one deal both show it, shares that
-- add up are in campaign_attribution. roi is what came back beyond the cost, per unit of cost.
CREATE OR REPLACE MACRO campaign_performance(as_of := NULL, known_at := NULL) AS TABLE
  WITH joined AS (
    SELECT campaign_id, count(*) AS members
    FROM campaign_member_at(as_of, known_at)
    WHERE status = 'member'
    GROUP BY campaign_id
  ), reached AS (
    SELECT
      campaign_id,
      count(DISTINCT member_id) FILTER (kind = 'sent') AS sent,
      count(DISTINCT member_id) FILTER (kind = 'opened') AS opened,
      count(DISTINCT member_id) FILTER (kind = 'clicked') AS clicked,
      count(DISTINCT member_id) FILTER (kind = 'replied') AS replied,
      count(DISTINCT member_id) FILTER (kind = 'bounced') AS bounced,
      count(DISTINCT member_id) FILTER (kind = 'opted_out') AS opted_out,
      coalesce(sum(cost), 0) AS touch_cost
    FROM touch_at(as_of, known_at)
    GROUP BY campaign_id
  ), spent AS (
    SELECT id AS campaign_id, sum(cost) AS cost
    FROM campaign_cost_at(as_of, known_at)
    GROUP BY id
  ), converted AS (
    SELECT touch.campaign_id, count(DISTINCT lead.id) AS converted_leads
    FROM touch_at(as_of, known_at) AS touch
    JOIN lead_at(as_of, known_at) AS lead ON lead.id = touch.member_id
    WHERE touch.kind NOT IN ('bounced', 'opted_out') AND touch.occurred_at <= lead.converted_at
    GROUP BY touch.campaign_id
  ), earned AS (
    SELECT campaign_id, currency, count(*) AS deals_won, sum(amount) AS revenue
    FROM (SELECT DISTINCT campaign_id, deal_id, currency, amount FROM deal_touches(as_of, known_at))
    GROUP BY campaign_id, currency
  ), performance AS (
    SELECT
      campaign.*,
      coalesce(joined.members, 0) AS members,
      coalesce(reached.sent, 0) AS sent,
      coalesce(reached.opened, 0) AS opened,
      coalesce(reached.clicked, 0) AS clicked,
      coalesce(reached.replied, 0) AS replied,
      coalesce(reached.bounced, 0) AS bounced,
      coalesce(reached.opted_out, 0) AS opted_out,
      coalesce(converted.converted_leads, 0) AS converted_leads,
      coalesce(earned.deals_won, 0) AS deals_won,
      coalesce(spent.cost, 0) + coalesce(reached.touch_cost, 0) AS cost,
      coalesce(earned.revenue, 0) AS revenue
    FROM campaign_at(as_of, known_at) AS campaign
    LEFT JOIN joined ON joined.campaign_id = campaign.id
    LEFT JOIN reached ON reached.campaign_id = campaign.id
    LEFT JOIN spent ON spent.campaign_id = campaign.id
    LEFT JOIN converted ON converted.campaign_id = campaign.id
    LEFT JOIN earned ON earned.campaign_id = campaign.id AND earned.currency = campaign.currency
  )
  SELECT
    id AS campaign_id,
    name AS campaign,
    status,
    channel,
    members,
    sent,
    opened,
    clicked,
    replied,
    bounced,
    opted_out,
    share(opened, sent) AS open_rate,
    share(clicked, sent) AS click_rate,
    converted_leads,
    deals_won,
    currency,
    budget,
    cost,
    (cost / nullif(converted_leads, 0))::DECIMAL(18, 2) AS cost_per_converted_lead,
    revenue,
    round((revenue - cost) / nullif(cost, 0), 4) AS roi
  FROM performance
  ORDER BY revenue DESC, campaign, campaign_id;
