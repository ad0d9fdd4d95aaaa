"""How people ask for what the tools of a repository do. The language of the tables: `builderbrain.train.spoken.templates`.

What is searched, listed and opened is also said as in training on version 1 of the domain.
"""

# ruff: noqa: E501 - tables of phrases
from __future__ import annotations

from builderbrain.train.goals import phrases as first
from builderbrain.train.spoken import Templates

_COMMANDS, _QUESTIONS = 60, 24
"""How many wordings are taken from the beginning of a table of version 1."""


def _as_before(commands: str, questions: str = "", *, place: str = "", name: str = "", count: int = _COMMANDS) -> str:
    """Wordings of version 1, a line each: `place` is the slot that is called `name` here; a folder may be said behind."""
    lines = [*first.templates(commands)[:count], *(f"~{line}" for line in first.templates(questions)[:_QUESTIONS])]
    return "\n".join(line.replace(place, f"{{{name}}}") if place else line for line in lines)


def _with(slot: str, lines: str) -> str:
    return "\n".join(line + slot for line in lines.split("\n"))


PHRASES = {
    "search": Templates(
        """
        (search|look|grep|hunt|scan|check) for {pattern}{where}
        (find|locate|grep|look up|track down) {pattern}{where}
        (find|show me|list|get me) (all|the|every) (lines|places|files|mentions|uses) (with|of) {pattern}{where}
        (find out|see|check|tell me) (where|whether) {pattern} (is used|is mentioned|occurs|comes up){where}
        ~where (is|do we have|do we use|do we mention) {pattern}{where}
        ~which (files|lines|places) (mention|contain|use|have) {pattern}{where}
        ~I (need|want|am looking for) (the places with|all uses of|the lines with|) {pattern}{where}
    """
        + _with("{where}", _as_before(first.SEARCH, first.SEARCH_QUESTIONS, place="{x}", name="pattern"))
    ),
    "read": Templates(
        """
        (open|read|show|show me|display|print|cat) {path}
        (have a look at|take a look at|look at|look into|go through) {path}
        (read out|pull up|bring up|fetch) {path}
        ~what (is in|does it say in|stands in) {path}
        ~I (need|want) to (see|read) {path}
    """
        + _as_before(first.READ, first.READ_QUESTIONS, place="{f}", name="path")
    ),
    "list": Templates(
        """
        (list|show|show me|name|enumerate) (the files|all files|everything|what is){where}
        (list|ls|browse) {path}
        (tell me|see|check|find out) (what is|which files are|what lies){where}
        ~(what is|which files are|what files are) (there|){where}
        ~I (need|want) (a listing|the list|an overview) of {path}
    """
        + _as_before(first.LIST, first.LIST_QUESTIONS, place="{d}", name="path")
    ),
    "list_root": Templates(_as_before(first.LIST_ROOT, first.LIST_ROOT_QUESTIONS)),
    "docs_lint": Templates("""
        (lint|proofread) the (docs|documentation|Markdown|Markdown files|texts){where}
        (check|go through|look through|examine) the (docs|documentation|Markdown|Markdown files){where} (for dead links|for broken links|for faults|for odd headings|for open code fences|)
        (look|search|scan) for (dead links|broken links|open code fences|odd headings|faults of the docs){where}
        (find|show me|list) (all|the|any) (dead links|broken links|odd headings|faults of the docs){where}
        (run|start) the (docs linter|docs lint|Markdown linter|docs check){where}
        (do|make) a (docs lint|docs check|lint of the docs){where}
        (see|check|find out|tell me) (whether|if) (all links work|the links work|the docs are clean|the Markdown is clean|any link is dead|any link is broken){where}
        ~are there (any|) (dead links|broken links|odd headings|faults in the docs){where}
        ~(do all links work|are the docs clean|is the Markdown clean|is any link dead|is any link broken){where}
        ~I (want|need) the (docs|documentation|Markdown files) (linted|checked for dead links){where}
        ~the (docs|documentation|Markdown files){where} (should|must|need to) be linted
        lint {path}
        (check|test) (the|all|every) (links|headings|link){where}
    """),
    "memory_search": Templates("""
        (look|search|check) in (your|the) (memory|notes) for {query}{limit}
        (search|look through|check|consult|go through) (your|the) (memory|notes) for {query}{limit}
        (recall|remind me of) (what you know about|what we know about|what was said about|everything about|) {query}{limit}
        (find|look up|get|fetch) (what you remember|what you noted|what was remembered|the notes|your notes) (about|on) {query}{limit}
        (tell me|show me|say) (what you remember|what you noted|what you have in mind) (about|on|of) {query}{limit}
        ~what do you (remember|recall|know by heart) (about|of) {query}{limit}
        ~do you (remember|recall) (anything|something) (about|of) {query}{limit}
        ~what did (I|we) (tell you|ask you to remember|have you remember) about {query}{limit}
        ~is there (anything|something|a note) in (your|the) (memory|notes) (about|on) {query}{limit}
        ~have you (noted|remembered) (anything|something) about {query}{limit}
        (ask|query) (your|the) memory (for|about) {query}{limit}
        (try to|) remember what (I|we) said about {query}{limit}
    """),
    "memory_add": Templates("""
        (remember|memorise|note|note down|write down|keep in mind|store|save) {text}
        (remember|note|keep in mind|make a note) that {text}
        (add|put|store|save|write) {text} (to|in|into) (your|the) (memory|notes)
        (make|take|keep) a note: {text}
        (do not|never) forget {text}
        ~(something|one thing) to remember: {text}
        ~{text} (should|must|has to) be remembered
        (keep|hold) {text} in (memory|mind)
        (learn|take down) {text} for (later|next time)
        for (later|the record|next time), (remember|note) {text}
    """),
    "remember_it": Templates("""
        (remember|note|note down|memorise|store|save) (that|it|the result|the outcome|what came out|what you found|what it says)
        (keep|hold) (that|it|the result|the outcome|what came out) in (memory|mind)
        (add|put|write|store) (that|it|the result|the outcome|what came out) (to|in|into) (your|the) (memory|notes)
        (make|take) a note of (that|it|the result|the outcome|what came out)
        ~(that|the result|the outcome) should be remembered
        (do not|never) forget (that|the result|what came out)
    """),
    "memory_forget": Templates("""
        (forget|delete|drop|erase|remove|discard) (the|) (entry|note|memory|item) {id}
        (forget|delete|erase|remove|discard) (the|) (entry|note|memory|item) number {id}
        (forget|delete|erase) number {id} (of|from|in) (your|the) (memory|notes)
        (remove|delete|drop|strike) (entry|note|item) {id} (from|of) (your|the) (memory|notes)
        ~(entry|note) (number|) {id} (can go|should go|is wrong, forget it|should be forgotten|must be deleted)
        (wipe|clear) (the|) (entry|note) {id}
        ~you (can|may) forget (the|) (entry|note) {id}
    """),
    "forget_found": Templates("""
        (forget|delete|drop|erase|remove|discard) (that entry|that note|the entry|the note|the best match|the best entry|it again)
        (remove|delete|strike) (that|it|the best one|the best match) from (your|the) (memory|notes)
        ~(that entry|that note|the best entry) (can go|should be forgotten|must be deleted)
        (wipe|clear) (that entry|that note|the best entry)
    """),
    "patch": Templates("""
        (check|see|find out|test|tell me) (whether|if) (the|) (patch|diff) {path} (applies|would apply|still applies|can be applied)
        (try|test|dry-run|rehearse) (the|) (patch|diff) {path} (without writing|without changing anything|dry|)
        (do|make) a dry run (of|with) (the|) (patch|diff) {path}
        ~(does|would|will) (the|) (patch|diff) {path} (apply|still apply|fit)
        ~can (the|) (patch|diff) {path} be applied
        (read|take|load|open) (the|) (patch|diff) {path} and (check|see|test) (whether|if) it (applies|would apply|fits)
        ~I (want|need) to know (whether|if) (the|) (patch|diff) {path} (applies|would apply)
    """),
    "patch_read": Templates("""
        (check|see|find out|test|tell me) (whether|if) it (applies|would apply|still applies|can be applied)
        (try|dry-run|rehearse) it (as a patch|as a diff|without writing)
        (do|make) a dry run (of|with) it
        (check|see|test) (whether|if) (that patch|that diff|the patch) (applies|would apply|fits)
    """),
    "fix": Templates("""
        (fix|mend|repair|heal) the (failing|broken|red|) tests{where}
        (make|get) the tests{where} (green|pass|work) (again|)
        (fix|mend|repair) (what fails|whatever fails|what is broken) (among|in) the tests{where}
        (try to|) (fix|mend|repair) the tests{where}
        ~the (failing|broken|) tests{where} (need|want) (fixing|mending|a fix)
        ~the tests{where} (should|must) be (fixed|mended|repaired)
        (bring|turn) the tests{where} back to green
        (find|look for) a fix for the (failing|broken|) tests{where}
        ~I (want|need) the tests{where} (fixed|mended|repaired|green again)
    """),
    "fix_them": Templates("""
        (fix|mend|repair|heal) them
        (fix|mend|repair) (what fails|the failing ones|whatever is broken)
        (make|get) them (green|pass) (again|)
        (try to|) (mend|fix|repair) the tests
        bring them back to green
    """),
    "fix_patch": Templates("""
        (apply|use) (it|the patch|that patch|the diff) (to mend|to fix|on) the tests{where}
        (fix|mend|repair) the tests{where} with (it|the patch|that patch|the diff)
        (mend|fix) the (failing|broken) tests{where} using (it|the patch|that diff)
        (apply|put in|take) (the patch|that patch|the diff)
        (let|have) (the patch|that diff) (mend|fix) the tests{where}
    """),
    "fix_with": Templates("""
        (fix|mend|repair) the (failing|broken|) tests{where} with the (patch|diff) {path}
        (apply|use) the (patch|diff) {path} (to mend|to fix|on) the (failing|broken|) tests{where}
        (mend|fix|repair) the tests{where} using (the|) (patch|diff) {path}
        ~the (patch|diff) {path} (should|must) (mend|fix) the tests{where}
        (take|try) the (patch|diff) {path} (to mend|to fix|to repair) the tests{where}
    """),
    "undo_fix": Templates("""
        (undo|revert|take back|roll back|cancel|withdraw) (the fix|that fix|the change|what was mended|the repair)
        take (it|the fix|the change|the repair) back
        (put|set) (everything|the code|things) back (as it was|to what it was|to before the fix)
        ~the (fix|change|repair) (should|must) be (undone|reverted|taken back)
        (restore|go back to) (what was there before|the code before the fix|the old code)
    """),
    "run_tests": Templates("""
        (run|start|execute|launch|do) (the|all|all the|our) tests{where}
        (run|start|launch|call) (pytest|the test suite|the unit tests){where}
        (test|try out) (everything|the code){where}
        (see|check|find out|tell me) (whether|if) (the|all|all the) tests{where} (pass|are green|work|run through)
        ~do (the|all) tests{where} (pass|work|run through)
        ~are (the|all) tests{where} green
        ~(does anything fail|what fails|how many tests fail|which tests fail){where}
        ~I (want|need) (the|all) tests{where} (run|to run|executed)
        ~(the|all) tests{where} (should|must) be run
        (give|take) the tests{where} a (run|go|try)
        (do|make) a (test run|run of the tests){where}
        (put|send) the tests{where} through
    """),
    "test_first": Templates("""
        (run|start|execute) the tests (in|of) (it|that file|the first one|the first of them|the first file)
        (run|start|execute|test) (the first one|the first of them|the top one)
        (run|call) pytest on (it|the first one|that file|the first of them)
        (see|check) (whether|if) the tests in (it|that file|the first one) pass
    """),
    "type_check": Templates("""
        (check|verify|go over|test) the types{where}
        (type-check|type check) (the code|everything|the project|all){where}
        (type-check|type check) {path}
        (run|start|launch|call) (mypy|the type checker|the type check){where}
        (do|make) a type check{where}
        (see|check|find out|tell me) (whether|if) the types{where} (are right|hold|are fine|are correct|are sound)
        (look|search|check) for type errors{where}
        (find|show me|list|count) (the|all|any) type errors{where}
        ~are the types{where} (right|fine|correct|sound)
        ~(are there any|do we have any|how many) type errors{where}
        ~what does mypy say{where}
        ~I (want|need) the types{where} checked
        ~the types{where} (should|must) be checked
    """),
    "types_first": Templates("""
        (check|verify) the types (in|of) (it|that file|the first one|the first of them|the first file)
        (type-check|type check) (it|that file|the first one|the first of them)
        (run|call) mypy on (it|that file|the first one|the first of them)
        (look|check) for type errors in (it|that file|the first one)
    """),
    "prove_algebra": Templates("""
        (prove|verify|decide|check|show|test|confirm) {claim}
        (prove|verify|decide|check|show|confirm) that {claim}
        (prove|verify|decide|check|test) the (claim|identity|equation|formula) {claim}
        (see|check|find out|decide|tell me) (whether|if) {claim} (holds|is true|is right|is an identity|always holds)
        ~(does|would) {claim} (hold|hold always|hold for all numbers)
        ~is {claim} (true|right|an identity|correct|always true)
        ~is it (true|right) that {claim}
        ~I (claim|say|think|believe) that {claim}, (prove it|is that so|check it)
        (try|attempt) to prove {claim}
        do the algebra (of|for) {claim}
    """),
    "prove_suite": Templates("""
        (run|start|execute|launch|do) (the|all|our) property tests{where}{marker}
        (prove|check|test) the (suite|properties|invariants){where}{marker}
        (run|start|launch) the (property suite|proof suite|hypothesis tests|property-based tests){where}{marker}
        (see|check|find out|tell me) (whether|if) the (property tests|properties|invariants){where}{marker} (pass|hold)
        ~do the (property tests|properties|invariants){where}{marker} (pass|hold)
        ~I (want|need) the (property tests|properties){where}{marker} (run|checked|proved)
        ~the (property tests|properties){where}{marker} (should|must) be (run|checked|proved)
        (give|take) the property tests{where}{marker} a (run|go|try)
    """),
    "evaluate": Templates("""
        (measure|evaluate|score|rate|assess) {rail}{bench}
        (run|start|do|launch) {the_bench}{on}
        (see|check|find out|tell me) how (good|right|strong) {rail} is{bench}
        (see|check|find out|tell me) how {rail} (does|scores|performs|fares){bench}
        ~how (good|strong) is {rail}{bench}
        ~how (well|) does {rail} (do|score|perform|fare){bench}
        ~what does {rail} score{bench}
        ~I (want|need) {rail} (measured|evaluated|scored){bench}
        ~{rail} (should|must) be (measured|evaluated|scored){bench}
        (put|take) {rail} to the test{bench}
        (do|make) (a measurement|an evaluation) of {rail}{bench}
        (give|get) me the score of {rail}{bench}
    """),
    "evaluate_new": Templates("""
        (measure|evaluate|score|rate|assess) (it|the new rail|the trained rail|what came out|the result){bench}
        (run|start|do) {the_bench} (on it|on the new rail|with the new rail|with the result)
        (see|check|find out|tell me) how (good|right|strong) (it|the new rail|the result) is{bench}
        (see|check|find out) how (it|the new rail) (does|scores|performs){bench}
        (put|take) (it|the new rail) to the test{bench}
        (give|get) me (its score|the score of the new rail){bench}
    """),
    "train": Templates("""
        (train|teach|make|build|fit) a (new rail|rail|model) (into|in) {output}{data}{how}
        (train|teach) (for|){data}{how} (into|in) {output}
        (start|run|launch|do|begin) a (training run|training|run of training) (into|in) {output}{data}{how}
        (train|teach) a (new rail|rail|model){data}{how} and (put|write|save|leave) it (into|in|to) {output}
        (start|run|launch|do) a (training run|training){data}{how} (into|in|to) {output}
        ~I (want|need) a (new rail|rail) (in|trained into) {output}{data}{how}
        ~a (new|) rail (should|must) be trained (into|in) {output}{data}{how}
        (train|teach) (into|in) (the folder|) {output}{data}{how}
        with {output} as the (output|target|folder), train{data}{how}
    """),
    "say": Templates("""
        (say|tell me|answer|reply|announce|report|write) {text}
        (say|answer|reply|respond) with {text}
        (let me know|let me hear|give me the message|send me the words|leave the message) {text}
        (greet|meet) me with {text}
        ~(your answer|your reply|the message|the answer) (is|should be|must be) {text}
        (close|end|finish) with (the words|) {text}
        (print|put up) the (message|words|sentence) {text}
    """),
    "say_about": Templates("""
        (say|tell me|report|announce|write) {text} (about|on|of) (it|that|the result|the outcome)
        (say|tell me|report|announce|write) {text} and (quote|show|add|attach) (it|that|the result|the outcome|what came out)
        (show|give|quote|report) (me|) (it|that|the result|the outcome) (under|with|below) (the words|the heading|the title) {text}
        (comment|remark) {text} on (it|that|the result|the outcome)
        (sum it up|sum that up|comment on it|comment on that|introduce it|present it) (as|with) {text}
        (quote|show|present) (it|the result|the outcome) below {text}
    """),
    "open_hit": Templates(
        """
        (open|read|show|show me|look at) (it|the first one|the first hit|the first match|the best match|the best file|the top hit|the file)
    """
        + _as_before(first.OPEN_SEARCH)
    ),
    "open_listed": Templates(
        """
        (open|read|show|show me|look at) (the first one|the first|the first file|the top one|the first of them)
    """
        + _as_before(first.OPEN_LIST)
    ),
    "open_last": Templates(
        """
        (open|read|show|show me|look at) (the last one|the last|the last of them|the last file|the final one|the bottom one)
    """
        + _as_before(first.OPEN_LAST, count=40)
    ),
    "open_faulty": Templates("""
        (open|read|show|show me|look at) (the first file|the file|the first one|the first of them|the first culprit|the first bad file)
        (open|read|show|show me) the (first|) file (with a fault|with the fault|that is wrong|with an error|with a failure|that fails)
        (open|read|show|show me) (where it first fails|the file of the first failure|the file of the first error|the file of the first fault)
        (show me|let me see|go to|look at) (where it goes wrong|the first failure|the first error|the first fault|the place of the first failure)
        (see|tell me) what (the first file|the first bad file|the first one) says
        open it
    """),
}
"""By kind of clause."""
