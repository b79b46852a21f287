"""How a system is scored: judges, the protocol over test clips, intervals, reports, contact sheets."""
