"""Matrix without I/O, clock or randomness: identifiers, events, authorisation, state resolution, push rules, APIs."""
