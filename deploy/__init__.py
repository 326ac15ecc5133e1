"""Deployment to chips: the integer arithmetic of each, as its simulators have it."""
