"""What the gate or the readers refused, and why."""

from schemas.views.description import View

QUARANTINE = View(
    "quarantine",
    "Every frame that the gate rejects, every rule that rejects a whole run or could not be checked, and every file "
    "that was refused: what was expected, what was found, why it matters.",
    """
with failed as (
    select run_id, expectation, scope, success, severity, expected, observed, reason, error,
           unexpected_frames, unexpected_values
    from expectation_results
    where severity = 'reject' and (success is null or not success)
),
of_frames as (
    select * exclude (unexpected_frames, unexpected_values), unnest(unexpected_frames) as frame,
           unnest(list_resize(unexpected_values, len(unexpected_frames))) as found
    from failed where scope = 'frame' and success is not null
),
passed as (
    -- Frames are renumbered when a restart is linked: an override names them by their content.
    select overrides.run_id, expectation, frames.frame, reason as because
    from overrides join frames on frames.run_id = overrides.run_id
     and (content_ids is null or list_contains(content_ids, frames.content_id))
),
overruled as (
    select run_id, expectation,
           if(content_ids is null, reason, format('{} frames: {}', len(content_ids), reason)) as because
    from overrides
)
select 'frame' as kind, runs.source_uri as source, of_frames.run_id, runs.composition, runs.synthetic,
       of_frames.frame, of_frames.expectation as rule, of_frames.expected, found, of_frames.reason,
       passed.because as overruled
from of_frames
join runs on runs.run_id = of_frames.run_id
left join passed on passed.run_id = of_frames.run_id and passed.expectation = of_frames.expectation
    and passed.frame = of_frames.frame
union all
select 'run', runs.source_uri, failed.run_id, runs.composition, runs.synthetic, null, failed.expectation,
       failed.expected, coalesce(failed.error, failed.observed), failed.reason, overruled.because
from failed
join runs on runs.run_id = failed.run_id
left join overruled on overruled.run_id = failed.run_id and overruled.expectation = failed.expectation
where failed.scope = 'run' or failed.success is null
union all
select 'file', subject, null, null, null, null, 'readable', null, cause, remedy, null
from task_failures where verb = 'ingest'
order by kind, source, frame, rule
""",
)
