// Steps that can be taken back and taken again. A step is whatever the caller can turn round; here only their order and
// their weight are kept, so that a long afternoon of painting does not fill the memory.

export interface Step {
  /** what it holds in memory, bytes */
  weight: number;
}

export class History<S extends Step> {
  private done: S[] = [];
  private undone: S[] = [];
  private readonly most: number;
  private readonly heaviest: number;

  /** most: steps that are kept; heaviest: bytes that they may hold together (the last step is always kept). */
  constructor(most = 200, heaviest = 192 * 2 ** 20) {
    this.most = most;
    this.heaviest = heaviest;
  }

  get steps(): number {
    return this.done.length;
  }

  get canUndo(): boolean {
    return this.done.length > 0;
  }

  get canRedo(): boolean {
    return this.undone.length > 0;
  }

  /** A new step: what had been taken back is gone. */
  push(step: S): void {
    this.undone = [];
    this.done.push(step);
    let weight = this.done.reduce((sum, one) => sum + one.weight, 0);
    while (this.done.length > 1 && (this.done.length > this.most || weight > this.heaviest)) {
      weight -= this.done.shift()?.weight ?? 0;
    }
  }

  /** The step to be taken back; null where there is none. */
  undo(): S | null {
    const step = this.done.pop();
    if (!step) return null;
    this.undone.push(step);
    return step;
  }

  /** The step to be taken again. */
  redo(): S | null {
    const step = this.undone.pop();
    if (!step) return null;
    this.done.push(step);
    return step;
  }

  clear(): void {
    this.done = [];
    this.undone = [];
  }
}
