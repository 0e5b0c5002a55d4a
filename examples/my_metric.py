"""A metric counts the user's short replies: `proact eval --plugin examples/my_metric.py`."""

from proact import metrics
from proact.text import words


@metrics.metric("avg_short_replies", field="short_replies", unit="messages", higher_is_better=False)
def short_replies(subject: metrics.Subject) -> metrics.Value:
    """User messages after the request that hold three words at most."""
    replies = [str(message["content"]) for message in subject.messages[1:] if message["role"] == "user"]
    return sum(len(words(reply)) <= 3 for reply in replies) if replies else metrics.Absent.NOT_APPLICABLE
