-- Keep the workers whose messages end in this transaction from being given up before it is over.
-- Sent first: whoever rescues locks the workers' rows before any message.
SELECT djtasks_alive(%(owners)s::text::int[])
