// The quick look at a drawing after each stroke: what it becomes, one look at a time, always at what is drawn now.
import { del, type Job } from "../../lib/api";
import { run } from "../../lib/live.svelte";
import type { Both } from "../../lib/messages.svelte";
import { fault } from "../../lib/toast.svelte";

const PATIENCE_MS = 60; // after a stroke, before a look is asked for

export class Look {
  /** Where the picture is that was seen last; "" where there is none. */
  picture = $state("");
  /** What the shapes of the drawing were taken for, the largest first. */
  shapes = $state<Both[]>([]);
  busy = $state(false);
  private later = 0;
  private again = false;
  private stopped = false;

  /** asked: what the look is to be at, as the job takes it; null where there is nothing to look at. */
  constructor(private readonly asked: () => Promise<Record<string, unknown> | null>) {}

  /** Something has changed: looks at it in a moment. */
  poke(): void {
    clearTimeout(this.later);
    this.later = window.setTimeout(() => void this.look(), PATIENCE_MS);
  }

  /** Does not look any more: the room is left. */
  stop(): void {
    this.stopped = true;
    clearTimeout(this.later);
    this.show(null);
  }

  private async look(): Promise<void> {
    this.again = true; // whoever looks now looks once more when it is done
    if (this.busy) return;
    this.busy = true;
    while (this.again && !this.stopped) {
      this.again = false;
      await this.once().catch(fault);
    }
    this.busy = false;
  }

  private async once(): Promise<void> {
    const request = await this.asked();
    if (!request) return this.show(null);
    const job = await run("look", request, { lane: "quick", keep: false });
    try {
      if (job.state === "failed") throw new Error(job.error?.message);
      if (job.preview && !this.stopped) this.show(await picture(job), (job.report as { shapes: Both[] } | null)?.shapes);
    } finally {
      void del(`/api/jobs/${job.id}`).catch(() => undefined); // looks do not fill the list of jobs
    }
  }

  private show(seen: Blob | null, shapes: Both[] = []): void {
    if (this.stopped) seen = null; // the room was left meanwhile
    this.shapes = shapes;
    if (this.picture) URL.revokeObjectURL(this.picture);
    this.picture = seen ? URL.createObjectURL(seen) : "";
  }
}

async function picture(job: Job): Promise<Blob | null> {
  const answer = await fetch(`/api/jobs/${job.id}/preview?n=${job.preview}`);
  return answer.ok ? answer.blob() : null; // somebody has cleared the list meanwhile
}
