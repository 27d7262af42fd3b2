declare module "virtual:rooms" {
  export const rooms: { name: string; order: number; icon: string; title: { en: string; zh: string } }[];
}
