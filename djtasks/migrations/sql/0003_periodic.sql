-- What people change of a schedule has it planned anew, clears its error and wakes whoever sends.
--
-- This notifies in a transaction that writes, which nothing else here does: people change schedules
-- seldom. What beats write themselves fires nothing.
CREATE FUNCTION djtasks_periodic_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF (NEW.schedule, NEW.start_time, NEW.enabled, NEW.source)
            IS DISTINCT FROM (OLD.schedule, OLD.start_time, OLD.enabled, OLD.source)
            -- One that is over counts from now if it is not over any more; others keep their beat.
            OR (OLD.planned AND OLD.next_run_at IS NULL
                AND (NEW.end_time, NEW.one_off) IS DISTINCT FROM (OLD.end_time, OLD.one_off))
        THEN
            NEW.since := clock_timestamp();
            NEW.planned := false;
            NEW.next_run_at := NEW.since;
        END IF;
        NEW.error := '';
        NEW.changed_at := clock_timestamp();
    END IF;
    PERFORM pg_notify('djtasks_beat', '');
    RETURN NEW;
END
$$;

-- PostgreSQL has times that Python has not: infinity, and from the year 10000 on.
ALTER TABLE djtasks_periodictask ADD CONSTRAINT djtasks_periodictask_times CHECK (
    start_time >= '0001-01-01' AND start_time < '10000-01-01'
    AND end_time >= '0001-01-01' AND end_time < '10000-01-01'
);

CREATE TRIGGER djtasks_periodic_made BEFORE INSERT ON djtasks_periodictask
    FOR EACH ROW EXECUTE FUNCTION djtasks_periodic_changed();

CREATE TRIGGER djtasks_periodic_changed BEFORE UPDATE ON djtasks_periodictask
    FOR EACH ROW
    WHEN ((OLD.name, OLD.task, OLD.schedule, OLD.args, OLD.kwargs, OLD.queue, OLD.priority,
           OLD.expires, OLD.headers, OLD.options, OLD.one_off, OLD.start_time, OLD.end_time,
           OLD.enabled, OLD.source)
          IS DISTINCT FROM
          (NEW.name, NEW.task, NEW.schedule, NEW.args, NEW.kwargs, NEW.queue, NEW.priority,
           NEW.expires, NEW.headers, NEW.options, NEW.one_off, NEW.start_time, NEW.end_time,
           NEW.enabled, NEW.source))
    EXECUTE FUNCTION djtasks_periodic_changed();
