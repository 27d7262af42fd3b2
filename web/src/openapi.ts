// What the server says of its routes (OpenAPI), as far as a page shows it, and how a route is asked from a terminal.

export interface Schema {
  $ref?: string;
  type?: string;
  format?: string;
  title?: string;
  default?: unknown;
  examples?: unknown[];
  anyOf?: Schema[];
  items?: Schema;
  enum?: unknown[];
  properties?: Record<string, Schema>;
  required?: string[];
  minimum?: number;
  maximum?: number;
}

export interface Parameter {
  name: string;
  in: "path" | "query" | "header" | "cookie";
  required?: boolean;
  schema: Schema;
}

export interface Operation {
  tags?: string[];
  description?: string;
  parameters?: Parameter[];
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses: Record<string, { content?: Record<string, unknown> }>;
}

export interface Api {
  info: { title: string; version: string };
  paths: Record<string, Record<string, Operation>>;
  components?: { schemas?: Record<string, Schema> };
}

export interface Route {
  method: string;
  path: string;
  tag: string;
  operation: Operation;
}

/** Every route, in the order of the paths. */
export function routes(api: Api): Route[] {
  return Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, tag: operation.tags?.[0] ?? "studio", operation })),
  );
}

/** The schema itself, where another place is named. */
export function resolved(api: Api, schema: Schema): Schema {
  const name = schema.$ref?.split("/").at(-1);
  return name ? (api.components?.schemas?.[name] ?? {}) : schema;
}

/** A type in a word or two: "integer, 0–1000", "string or null". */
export function typeOf(api: Api, given: Schema): string {
  const schema = resolved(api, given);
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  if (schema.anyOf) return schema.anyOf.map((one) => typeOf(api, one)).join(" | ");
  if (schema.type === "array") return `${typeOf(api, schema.items ?? {})}[]`;
  const bounds = schema.minimum !== undefined || schema.maximum !== undefined ? ` ${schema.minimum ?? ""}…${schema.maximum ?? ""}` : "";
  return (schema.format === "binary" ? "file" : (schema.type ?? "any")) + bounds;
}

/** A value that the schema allows: the example that the server gives, else the default, else the plainest. */
export function example(api: Api, given: Schema, name = ""): unknown {
  const schema = resolved(api, given);
  if (schema.examples?.length) return schema.examples[0];
  if (schema.default !== undefined && schema.default !== null) return schema.default;
  if (schema.enum) return schema.enum[0];
  if (schema.anyOf) return example(api, schema.anyOf.find((one) => one.type !== "null") ?? {}, name);
  if (schema.properties) {
    const wanted = Object.keys(schema.properties).filter((key) => schema.required?.includes(key));
    const shown = wanted.length ? wanted : Object.keys(schema.properties);
    return Object.fromEntries(shown.map((key) => [key, example(api, schema.properties?.[key] ?? {}, key)]));
  }
  const plain: Record<string, unknown> = { array: [], object: {}, integer: schema.minimum ?? 1, number: schema.minimum ?? 1, boolean: true, null: null };
  return schema.type !== undefined && schema.type in plain ? plain[schema.type] : name.toUpperCase() || "…";
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** The command that asks a route from a terminal; `token` adds the place for one. */
export function curl(api: Api, { method, path, operation }: Route, origin: string, token: boolean): string {
  const words = ["curl"];
  if (operation.responses["200"]?.content?.["text/event-stream"]) words.push("-N");
  if (method !== "GET") words.push("-X", method);
  if (token) words.push("-H", quoted("Authorization: Bearer TOKEN"));
  const content = operation.requestBody?.content ?? {};
  const json = content["application/json"];
  const form = content["multipart/form-data"];
  if (json) words.push("-H", quoted("Content-Type: application/json"), "-d", quoted(JSON.stringify(example(api, json.schema))));
  if (form) for (const name of Object.keys(form.schema.properties ?? {})) words.push("-F", quoted(`${name}=@photo.jpg`));
  const where = path.replace(/\{(\w+)\}/g, (_, name: string) => name.toUpperCase());
  const asked = (operation.parameters ?? []).filter((one) => one.in === "query" && one.required).map((one) => `${one.name}=${String(example(api, one.schema, one.name))}`);
  return [...words, quoted(origin + where + (asked.length ? `?${asked.join("&")}` : ""))].join(" ");
}
