// Captures and qualifies leads from many callers at once, with Emmett's command handler.
// node callers.mjs URL CALLERS SECONDS WARM_UP       (speaks as benchmarks/window.py does)

import { randomUUID } from "node:crypto";
import { CommandHandler } from "@event-driven-io/emmett";
import { getPostgreSQLEventStore } from "@event-driven-io/emmett-postgresql";

const [url, callers, seconds, warmUp] = process.argv.slice(2);

const qualification = {
  budget: 3,
  authority: 4,
  need: 5,
  timeline: 2,
  evidence: "Budget approved by the board in March.",
};

let captured = 0;

const capture = (lead) => {
  if (lead.status !== "unknown") throw new Error("captured before");
  const number = String(captured++).padStart(8, "0");
  return {
    type: "LeadCaptured",
    data: {
      name: `Ann Example ${number}`,
      email: `ann.${number}@example.com`,
      phone: "+44 20 7946 0018",
      company: "Example Ltd",
      title: "Head of IT",
      country: "GB",
      source: "website",
    },
  };
};

const qualify = (lead) => {
  if (lead.status !== "open") throw new Error(`the lead is ${lead.status}`);
  return { type: "LeadQualified", data: qualification };
};

const handle = CommandHandler({
  initialState: () => ({ status: "unknown" }),
  evolve: (lead, { type }) => ({
    status: type === "LeadCaptured" ? "open" : "qualified",
  }),
});

const store = getPostgreSQLEventStore(url);
await store.schema.migrate();

const waits = [];
const opens = performance.now() + Number(warmUp) * 1000;
const closes = opens + Number(seconds) * 1000;
setTimeout(() => console.log("go"), Number(warmUp) * 1000);

const timed = async (id, decide) => {
  const began = performance.now();
  await handle(store, id, decide);
  const now = performance.now();
  if (opens <= now && now < closes) waits.push(now - began);
};

const call = async () => {
  while (performance.now() < closes) {
    const id = `lead-${randomUUID()}`;
    await timed(id, capture);
    await timed(id, qualify);
  }
};

await Promise.all(Array.from({ length: Number(callers) }, call));
waits.sort((one, other) => one - other);
const percentile = (share) =>
  waits[Math.min(waits.length - 1, Math.floor(share * waits.length))] ?? 0;
console.log(
  JSON.stringify({
    per_second: waits.length / Number(seconds),
    p50_ms: percentile(0.5),
    p99_ms: percentile(0.99),
    answers: waits.length,
  }),
);
await store.close();
process.exit(0);
