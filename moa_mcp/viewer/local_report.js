// The report in `moa-mcp eval --view`: keeps the key of its address for the pages of runs.
import {keyOfServer} from "./served.js";

keyOfServer();
