import { mount } from "svelte";
import "./style.css";
import Docs from "./Docs.svelte";

mount(Docs, { target: document.body });
