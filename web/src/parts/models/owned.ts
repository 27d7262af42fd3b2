// Models that were trained here, as GET /api/models/own tells them.
import { get } from "../../lib/api";

export interface Owned {
  /** as requests take it: "run:NAME" */
  name: string;
  recipe: string;
  art: string;
  /** what a story model writes: "en" or "zh" */
  language: string;
  /** styles of music that it writes */
  styles: string[];
}

export interface Models {
  models: Owned[];
  /** generators that ship */
  generators: string[];
}

export const owned = (): Promise<Models> => get<Models>("/api/models/own");
