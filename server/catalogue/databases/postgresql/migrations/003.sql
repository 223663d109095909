-- The call that has taken an import last, at any server. Only it advances the import.
ALTER TABLE import_positions ADD COLUMN holder TEXT NOT NULL DEFAULT '';
