// Marking spans in the texts that are judged.
"use strict";
