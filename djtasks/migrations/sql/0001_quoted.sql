-- A text as Python's repr() shows it. What is in it comes from repr() itself, so it has no line
-- breaks and nothing else that needs an escape of its own.
CREATE FUNCTION djtasks_quoted(words text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN strpos(words, chr(39)) > 0 AND strpos(words, chr(34)) = 0
        THEN chr(34) || replace(words, chr(92), repeat(chr(92), 2)) || chr(34)
        ELSE chr(39)
             || replace(replace(words, chr(92), repeat(chr(92), 2)), chr(39), chr(92) || chr(39))
             || chr(39)
    END
$$
