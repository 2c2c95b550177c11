"""The log: the only importer of the library `eventsourcing`."""
