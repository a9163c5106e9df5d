"""Assembly: settings, the list of modules, construction in one place, tasks, observability."""
