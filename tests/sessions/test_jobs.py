"""The queue loses no job, does none twice, and tells whoever watches what has changed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from danqing.errors import BadRequest, NotWritable, Unavailable, UnknownName
from danqing.sessions import jobs
from danqing.sessions.jobs import Asked, Lost, Queue


@pytest.fixture
def queue(tmp_path) -> Queue:
    return Queue(tmp_path / "home")


def test_jobs_are_taken_in_the_order_they_came_each_lane_by_itself(queue):
    first, second = queue.add("paint", {"prompt": "山"}, title="山"), queue.add("write", {})
    quick = queue.add("sketch", {}, lane="quick", keep=False)
    assert [job.position for job in (queue.get(first.id), queue.get(second.id), queue.get(quick.id))] == [1, 2, 1]
    taken = queue.claim("long", "w")
    assert (taken.id, taken.state, taken.request, taken.title) == (first.id, "running", {"prompt": "山"}, "山")
    assert queue.get(second.id).position == 1
    assert queue.claim("quick", "q").keep is False
    assert queue.claim("quick", "q") is None
    assert [job.id for job in queue.jobs()] == [quick.id, second.id, first.id]


def test_another_process_opens_the_same_queue(queue):
    job = queue.add("paint", {"seed": 3})
    assert Queue(queue.home).get(job.id) == queue.get(job.id)


def test_a_job_tells_how_far_it_is_and_what_it_says(queue):
    job = queue.add("write", {})
    queue.claim("long", "w")
    assert queue.progress(job.id, "w", 2, 5, "writing") is False
    assert queue.progress(job.id, "w", preview=True) is False
    for line in ("床前明月光", "疑是地上霜"):
        queue.frame(job.id, "w", {"line": line})
    now = queue.get(job.id)
    assert (now.done, now.total, now.stage, now.preview, now.frames) == (2, 5, "writing", 1, 2)
    assert queue.frames(job.id) == [{"line": "床前明月光"}, {"line": "疑是地上霜"}]
    assert queue.frames(job.id, 1) == [{"line": "疑是地上霜"}]
    queue.finish(job.id, "w", ["abcd1234"], {"seen": True})
    done = queue.get(job.id)
    assert (done.state, done.works, done.report, done.done) == ("done", ["abcd1234"], {"seen": True}, 5)
    assert done.ended >= done.started >= done.created


def test_a_cancelled_job_stops_at_its_next_step_and_a_waiting_one_at_once(queue):
    runs, waits = queue.add("paint", {}), queue.add("paint", {})
    queue.claim("long", "w")
    assert queue.cancel(waits.id).state == "cancelled"
    assert queue.cancel(runs.id).state == "running"
    assert queue.asked_to_stop(runs.id, "w")
    assert queue.progress(runs.id, "w", 1, 2, "painting") is True
    queue.stopped(runs.id, "w")
    assert queue.get(runs.id).state == "cancelled"
    for job in (runs, waits):
        with pytest.raises(Unavailable, match="cancelled already"):
            queue.cancel(job.id)


def test_a_job_that_will_not_stop_is_named(queue):
    job = queue.add("paint", {})
    queue.claim("long", "w")
    assert queue.overdue(-1) == []
    queue.cancel(job.id)
    assert queue.overdue(3600) == []
    assert queue.overdue(-1) == [(job.id, "w")]


def test_a_failed_or_cancelled_job_is_tried_again_last_in_its_lane(queue):
    failed, other = queue.add("paint", {"seed": 1}), queue.add("paint", {})
    queue.claim("long", "w")
    queue.frame(failed.id, "w", 1)
    queue.fail(failed.id, "w", "BadRequest", "no")
    assert queue.get(failed.id).error == {"kind": "BadRequest", "message": "no"}
    again = queue.retry(failed.id)
    assert (again.state, again.error, again.frames, again.position) == ("queued", None, 0, 2)
    assert queue.frames(failed.id) == []
    with pytest.raises(Unavailable, match="queued"):
        queue.retry(other.id)


def test_waiting_jobs_are_put_in_another_order(queue):
    names = [queue.add("paint", {"seed": number}).id for number in range(4)]
    elsewhere = queue.add("paint", {}, lane="quick").id

    def order() -> list[int]:
        waiting = [job for job in queue.jobs() if job.lane == "long"]
        return [job.request["seed"] for job in sorted(waiting, key=lambda job: job.position)]

    assert queue.move(names[3], names[0]).position == 1
    assert order() == [3, 0, 1, 2]
    queue.move(names[0], None)
    assert order() == [3, 1, 2, 0]
    queue.move(names[1], names[1])
    assert order() == [3, 1, 2, 0]
    for _ in range(200):  # places never run out
        queue.move(names[0], names[3])
        queue.move(names[0], names[1])
    assert order() == [3, 0, 1, 2]
    with pytest.raises(BadRequest, match="lane"):
        queue.move(names[0], elsewhere)
    queue.claim("long", "w")
    with pytest.raises(Unavailable, match="running"):
        queue.move(names[0], names[3])


def test_finished_jobs_are_cleared_with_their_previews_and_others_stay(queue):
    done, runs, waits = (queue.add("paint", {}) for _ in range(3))
    queue.claim("long", "w")
    queue.finish(done.id, "w")
    queue.claim("long", "w")
    queue.folder(done.id).mkdir(parents=True)
    for job in (runs, waits):
        with pytest.raises(Unavailable, match="cancel it"):
            queue.remove(job.id)
    assert queue.clear() == 1
    assert not queue.folder(done.id).exists()
    assert {job.id for job in queue.jobs()} == {runs.id, waits.id}
    with pytest.raises(UnknownName):
        queue.get(done.id)
    assert queue.clear() == 0


def test_a_job_whose_worker_died_goes_on_once_and_then_has_failed(queue):
    job, other = queue.add("paint", {}), queue.add("paint", {})
    queue.claim("long", "first")
    assert queue.recover({"first"}) == []
    assert queue.recover(set()) == [job.id]
    again = queue.claim("long", "second")
    assert again.id == job.id  # it kept its place
    with pytest.raises(Lost):
        queue.finish(job.id, "first", ["twice"])
    assert queue.recover(()) == [job.id]
    assert queue.get(job.id).state == "failed"
    assert "ended twice" in queue.get(job.id).error["message"]
    assert queue.claim("long", "third").id == other.id


def test_a_studio_that_ends_is_not_held_against_a_job(queue):
    job = queue.add("paint", {})
    for number in range(5):
        assert queue.claim("long", f"w{number}").id == job.id
        assert queue.recover((), died=False) == [job.id]
    assert queue.get(job.id).state == "queued"


def test_a_job_that_was_to_stop_when_its_worker_died_has_stopped(queue):
    job = queue.add("paint", {})
    queue.claim("long", "w")
    queue.cancel(job.id)
    queue.recover(())
    assert queue.get(job.id).state == "cancelled"


def test_what_a_dead_worker_reports_is_refused(queue):
    job = queue.add("paint", {})
    queue.claim("long", "w")
    queue.recover(())
    for report in (
        lambda: queue.progress(job.id, "w", 1, 2, ""),
        lambda: queue.frame(job.id, "w", 1),
        lambda: queue.asked_to_stop(job.id, "w"),
        lambda: queue.fail(job.id, "w", "X", "x"),
        lambda: queue.stopped(job.id, "w"),
    ):
        with pytest.raises(Lost):
            report()
    assert queue.get(job.id).state == "queued"
    assert queue.frames(job.id) == []


def test_watchers_are_told_each_change_once_in_order(queue):
    assert queue.revision() == 0
    first, second = queue.add("paint", {}), queue.add("paint", {})
    then = queue.revision()
    assert [change.id for change in queue.since(0)] == [first.id, second.id]
    queue.claim("long", "w")
    for number in range(10):
        queue.progress(first.id, "w", number, 10, "")
    assert [change.id for change in queue.since(then)] == [second.id, first.id]  # second moved up
    queue.finish(first.id, "w", ["abcd"])
    then = queue.revision()
    queue.tell("work-removed", "abcd")
    queue.remove(first.id)
    assert [(change.kind, change.id) for change in queue.since(then)] == [
        ("work-removed", "abcd"),
        ("job-removed", first.id),
    ]
    assert queue.since(queue.revision()) == []


def test_what_cannot_be_asked(queue, tmp_path):
    with pytest.raises(BadRequest, match="lane is 'slow'"):
        queue.add("paint", {}, lane="slow")
    with pytest.raises(BadRequest, match="JSON"):
        queue.add("paint", {"strength": float("nan")})
    with pytest.raises(UnknownName):
        queue.get("' OR 1=1")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotWritable, match="DANQING_HOME"):
        Queue(tmp_path / "file")


def test_processes_that_claim_at_once_never_get_the_same_job(queue):
    for number in range(60):
        queue.add("paint", {"seed": number})
    program = (
        "import sys, pathlib\n"
        "from danqing.sessions.jobs import Queue\n"
        "queue = Queue(pathlib.Path(sys.argv[1]))\n"
        "while (job := queue.claim('long', sys.argv[2])) is not None:\n"
        "    queue.progress(job.id, sys.argv[2], 1, 2, 'x')\n"
        "    queue.finish(job.id, sys.argv[2], [job.id])\n"
        "    print(job.id)\n"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", program, str(queue.home), f"w{number}"], stdout=subprocess.PIPE)
        for number in range(3)
    ]
    taken = [line for process in running for line in process.communicate(timeout=120)[0].split()]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(taken) == len(set(taken)) == 60
    assert {job.state for job in queue.jobs()} == {"done"}


def test_many_are_added_at_once_as_one_after_another(queue):
    first = queue.add("write", {"seed": 0}, lane="quick")
    asked = [Asked("write", {"seed": n}, title=f"No {n}", lane="quick" if n % 2 else "long") for n in range(1, 6)]
    added = queue.add_all(asked)
    assert [queue.get(job.id) for job in added] == added
    assert [job.request["seed"] for job in added] == [1, 2, 3, 4, 5]
    assert [(job.lane, job.position) for job in added] == [
        ("quick", 2), ("long", 1), ("quick", 3), ("long", 2), ("quick", 4),
    ]  # fmt: skip
    told = [change.id for change in queue.since(0)]
    assert told == [first.id, *(job.id for job in added)]
    assert queue.named([first.id, added[0].id, "f" * 16]) == {first.id: queue.get(first.id), added[0].id: added[0]}
    assert queue.add_all([]) == []


def test_what_there_is_no_room_for_is_refused_and_the_rest_is_kept(queue, monkeypatch):
    monkeypatch.setattr(jobs, "MOST_WAITING", 3)
    queue.add("write", {})
    kept, too, *full = queue.add_all([Asked("write", {"seed": n}) for n in range(4)])
    assert [job.request["seed"] for job in (kept, too)] == [0, 1]
    assert all(isinstance(each, Unavailable) for each in full)
    with pytest.raises(Unavailable, match="3 jobs wait already"):
        queue.add("write", {})
    assert len(queue.jobs()) == 3


def test_whoever_watches_sees_what_another_process_writes_and_nothing_else(queue, tmp_path):
    assert not queue.watch.changed()
    queue.jobs()
    assert not queue.watch.changed()
    program = "import sys; from pathlib import Path; from danqing.sessions.jobs import Queue\n"
    program += "Queue(Path(sys.argv[1])).add('write', {})"
    subprocess.run([sys.executable, "-c", program, str(queue.home)], check=True, timeout=60)
    assert queue.watch.changed()
    assert not queue.watch.changed()
