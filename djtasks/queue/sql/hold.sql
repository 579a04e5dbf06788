-- Lock the messages whose ends fail others or enqueue something, if they are still their owners':
-- that they are is asked again by the statements that follow, and stays true until the commit.
SELECT djtasks_owned(%(causes)s::text::uuid[], %(owners)s::text::int[])
