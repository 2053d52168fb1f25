-- KFP's clients are told the states that a run has had, with the run, and a run may have very many events of its tasks.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- The moves of a run itself, in order.
CREATE INDEX event_moves_idx ON event (run_uid, sequence) WHERE subject = 'RUN';
