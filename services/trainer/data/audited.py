"""Audits of what weights decided: all that the coin drew, whatever the scores. Alarm and report count the same."""

# Of all that weights $1 scored, each item as people judged it last, among the labels received after $2 and up to $3.
# Beside audits of decisions there is what the coin drew out of all traffic, which the sides may decide by now.
AUDITED = """
SELECT DISTINCT ON (l.source, l.content_id, l.revision)
       l.received, l.scores, l.labels, l.text, l.signals, coalesce(a.number, 0) AS number
FROM label l JOIN bundle b USING (bundle_version) LEFT JOIN asked a USING (source, content_id, revision)
WHERE b.weights = $1 AND (l.audited_outcome IS NOT NULL OR l.stratum = 'uniform') AND l.adjudicated
  AND l.scores IS NOT NULL AND l.received > $2 AND l.received <= $3
ORDER BY l.source, l.content_id, l.revision, l.labelled_at DESC, l.label_id
"""
EVERY_LABEL = (0, 2**62)  # for $2 and $3
