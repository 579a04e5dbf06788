-- Let messages go on that their rates allow by now; see the function, made by the migration.
SELECT ready, opens_in FROM djtasks_open()
