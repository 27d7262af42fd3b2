// The drawing in the browser's own store, so that a refresh or a closed lid loses nothing.
import type { LayerName } from "./surface";

/** Everything that makes up a drawing, as it is written down. */
export interface Kept {
  width: number;
  height: number;
  layers: Record<LayerName, Blob | null>;
  backdrop: Blob | null;
}

const NAME = "danqing-canvas";
const TABLE = "drawings";
const ENTRY = "current";

function opened(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(TABLE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("the browser's store does not open"));
  });
}

/** Writes the drawing down; false where the browser does not let us. */
export async function keep(drawing: Kept): Promise<boolean> {
  try {
    const store = await opened();
    await new Promise<void>((resolve, reject) => {
      const change = store.transaction(TABLE, "readwrite");
      change.objectStore(TABLE).put(drawing, ENTRY);
      change.oncomplete = () => resolve();
      change.onabort = change.onerror = () => reject(change.error ?? new Error("the drawing was not written"));
    });
    store.close();
    return true;
  } catch {
    return false; // private windows have no store: the drawing lives as long as the page
  }
}

/** The drawing as it was; null where there is none. */
export async function recall(): Promise<Kept | null> {
  try {
    const store = await opened();
    const found = await new Promise<Kept | undefined>((resolve, reject) => {
      const request = store.transaction(TABLE).objectStore(TABLE).get(ENTRY) as IDBRequest<Kept | undefined>;
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error ?? new Error("the drawing was not read"));
    });
    store.close();
    return found ?? null;
  } catch {
    return null;
  }
}
