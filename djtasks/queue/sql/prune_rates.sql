-- Forget rates that nothing has used for a day and that block nobody. One that is used again is new,
-- and as unused as this one.
-- Plan: Seq Scan on djtasks_rate (a row for each limited task, and worker); SubPlan with Index Only
-- Scan using djtasks_message_gate.
DELETE FROM djtasks_rate r
WHERE r.opens_at IS NULL AND r.used_until < now() - interval '1 day'
  AND NOT EXISTS (SELECT FROM djtasks_message m WHERE m.gate = r.name AND m.state = 3)
