"""How people ask a robot cell for things. The language of the tables: `builderbrain.train.spoken.templates`."""

# ruff: noqa: E501 - tables of phrases
from __future__ import annotations

from builderbrain.train.spoken import Templates

PHRASES = {
    "look": Templates("""
        (look at|look into|inspect|view|watch|photograph|examine|scan) the {zone}
        (take|get|make|shoot|snap) (a|one) (picture|photo|shot|snapshot|image) of the {zone}
        (take|have) a (|quick|close) look (at|into) the {zone}
        see (what is|what lies|if anything is|whether something lies) (in|on) the {zone}
        (tell me|show me|find out|check|say) (whether|if) (a part|something|anything|a workpiece) (is|lies) (in|on) the {zone}
        (point|use) the camera (at|on|over) the {zone}
        check the {zone} (with the camera|for parts|for a part)
        ~is there (a part|something|anything|a workpiece) (in|on) the {zone}
        ~what (is|lies) (in|on) the {zone}
        ~I (want|need|would like) a (picture|photo|look) of the {zone}
        ~the {zone} (should|must|has to) be (looked at|photographed|inspected)
        ~the camera (should|must) (look at|check|inspect) the {zone}
        ~what have we got (in|on) the {zone}
        ~how does the {zone} look
        camera (on|at) the {zone}
        ~(anything|something) (in|on) the {zone}
        ~I (would like|want|need) to (see|know) what (is|lies) (in|on) the {zone}
        (let me|I want to|I need to) see the {zone}
        one (photo|picture|shot|image) of the {zone}
        get me (a|one) (view|photo|picture) of the {zone}
        (observe|survey|film|check out|peek into) the {zone}
        use the camera (on|for) the {zone}
        ~what (can you|do you) see (in|on|at) the {zone}
    """),
    "look_two": Templates("""
        (look at|inspect|photograph|examine|scan|view) the {zone} and the {other}
        (look at|inspect|check) both the {zone} and the {other}
        (take|get|make) (pictures|photos|images) of the {zone} and (of|) the {other}
        see what (is|lies) (in|on) the {zone} and (in|on) the {other}
        ~I (want|need) (pictures|photos) of the {zone} and the {other}
        (one photo|one picture) each of the {zone} and the {other}
        ~what (is|lies) (in|on) the {zone} and (in|on) the {other}
        (photograph|inspect) the {zone} as well as the {other}
        (let me|I want to) see the {zone} and the {other}
    """),
    "move": Templates("""
        (go|move|drive|travel|head|come) (to|over to) the {zone}{point}{speed}
        (go|move|drive|travel)(| along) to the {zone}{speed}{point}
        (move|bring|drive|send|take|steer) the (arm|robot|tool|gripper) (to|over|over to|above) the {zone}{point}{speed}
        (position|park|place|put) the (arm|robot|tool) (at|over|above) the {zone}{point}{speed}
        (approach|visit) the {zone}{point}{speed}
        (hover|wait) (over|above) the {zone}{point}{speed}
        ~the (arm|robot|tool) (should|must|has to|is to) (go|move|drive) to the {zone}{point}{speed}
        ~I (want|need) the (arm|robot|tool) (at|over|above) the {zone}{point}{speed}
        get (the arm|the tool|the robot|) (to|over) the {zone}{point}{speed}
        ~(next stop|destination|target): the {zone}{point}{speed}
        ~the {zone}{point} is (the next stop|the target|where to go){speed}
        ~(let us|we) go to the {zone}{point}{speed}
        be (at|over|above) the {zone}{point}{speed}
        (off|away) to the {zone}{point}{speed}
        (head|swing|turn) (over to|towards|for) the {zone}{point}{speed}
        (reach|go and stand over) the {zone}{point}{speed}
        ~the (arm|tool) (moves|goes|drives|is) (now|) (to|over|above) the {zone}{point}{speed}
    """),
    "pick": Templates("""
        (pick|pick up|grab|take|fetch|lift|collect|get|remove) (the|a|one) {part} (from|off|out of|in|on) the {zone}{point}{wide}{grip}
        (pick|grab|take|lift|fetch) (the|a) {part} (up|out) (from|of|off) the {zone}{point}{grip}{wide}
        (pick up|take|grab) (from|off) the {zone}{point}{wide}{grip}
        (pick|grip|grab|lift) (what is|what lies) (in|on) the {zone}{point}{grip}{wide}
        (go|move) to the {zone} and (pick up|take|grab|lift) (the|a) {part}{point}{wide}{grip}
        ~I (want|need) (the|a) {part} (from|out of) the {zone}{point}{wide}{grip}
        ~the {part} (in|on|from) the {zone}{point} (should|must|has to) be (picked up|picked|taken|lifted){grip}{wide}
        (seize|catch|take hold of|pull) (the|a|one) {part} (from|out of|in|on) the {zone}{point}{wide}{grip}
        ~(the|a) {part} (in|on) the {zone}{point}{wide}: (pick it up|take it|grab it|lift it){grip}
        ~(there is|we have|you find) (a|the|one) {part} (in|on) the {zone}{point}{wide}; (pick it up|take it|grab it|fetch it){grip}
        ~(the|a) {part} (has to|must|should) (come|go) (off|out of) the {zone}{point}{grip}{wide}
        (pick|take|grab|lift) (one|something) (out of|from) the {zone}{point}{wide}{grip}
        (hold|get hold of) the {part} (in|on) the {zone}{point}{grip}{wide}
        (empty|clear) the {zone}{point}{grip}{wide}
        ~(give|hand) me (the|a) {part} (in|from|on) the {zone}{point}{wide}{grip}
        (collect|take) (what is|what lies|whatever lies) (in|on) the {zone}{point}{wide}{grip}
    """),
    "pick_seen": Templates("""
        (find|locate|look for|search for|spot) (the|a) {part} (in|on) the {zone} and (pick it up|pick it|take it|grab it|grip it|lift it){grip}
        (pick up|pick|grab|take|fetch) (the|a) {part} (in|on|from) the {zone} (where the camera sees it|where you see it|where it lies|wherever it lies|with the camera){grip}
        use the camera (to|and) (find|pick|grab|locate) (the|a) {part} (in|on|from) the {zone}{grip} and (pick it up|lift it|take it)
        (look where|see where) (the|a) {part} (is|lies) (in|on) the {zone} and (pick it up|pick it|take it|grab it|lift it){grip}
        ~the {part} (in|on) the {zone} (should|must) be (found|located) and (picked up|taken|lifted){grip}
        let the camera (guide you to|show you|look for) (the|a) {part} (in|on) the {zone} and (pick it up|grab it|take it|lift it){grip}
        ~(the|a) {part} is (anywhere|some place) (in|on) the {zone}; (find it|locate it|search it) and (pick it up|take it|grab it){grip}
        (search|scan) the {zone} for (the|a) {part} and (pick it up|take it|grab it|lift it){grip}
        with the camera (pick|grab|take|lift) (the|a) {part} (in|on|from) the {zone}{grip}
        ~you (will|can) see (the|a) {part} (in|on) the {zone}; (pick it up|take it|grab it){grip}
    """),
    "transport": Templates("""
        (move|bring|carry|transfer|transport|shift|take) (the|a|one) {part} from the {zone}{grip} (to|into|onto|over to) the {other}
        (bring|carry|take|move|transfer) (the|a) {part} (in|on) the {zone} (to|into|over to) the {other}{grip}
        (get|fetch|pick up) (the|a) {part} from the {zone}{grip} and (put|place|set|drop) it (in|on|into|onto|in) the {other}
        ~the {part} (in|on) the {zone} (belongs|goes|must go|should go) (in|into|on|onto|to) the {other}{grip}
        ~I (want|need) the {part} from the {zone} (in|on|moved to) the {other}{grip}
        (move|carry|bring) (something|what lies|what is) (in|on) the {zone}{grip} (to|over to|into) the {other}
        ~from the {zone} to the {other} (goes|travels|moves) (the|a|one) {part}{grip}
        ~(the|a|one) {part} (moves|travels|goes|changes) from the {zone} to the {other}{grip}
        (clear|empty) the {zone}{grip} into the {other}
        (load|fill) the {other} (with|from) (the|a) {part} (from|of|in) the {zone}{grip}
        ~the {other} (needs|gets|wants) (the|a) {part} from the {zone}{grip}
        (lift|grab|grip) (the|a|one) {part} (in|on|from) the {zone}{grip} and (take|carry|bring) it (to|over to) the {other}
    """),
    "place": Templates("""
        (put|place|set|lay|drop|leave) (it|the {part}) (down |)(on|in|into|onto|at) the {zone}{point}{press}
        (deliver|bring|carry|take|move) (it|the {part}) to the {zone}{point}{press}
        (put|set|lay) (it|the {part}) down{press} (in|on) the {zone}{point}
        (unload|deposit) (it|the {part}) (in|on|at) the {zone}{point}{press}
        ~(it|the {part}) (goes|belongs|must go|should go) (in|into|on|onto|to) the {zone}{point}{press}
        (let it down|set it down|lower it) (in|on|over) the {zone}{point}{press}
        ~(the|that) {part} (ends up|comes|stays) (in|on) the {zone}{point}{press}
        ~the {zone}{point} (takes|receives|is for) (it|the {part}){press}
        (load|stack|insert) (it|the {part}) (in|into|on|onto) the {zone}{point}{press}
        (hand|give) it to the {zone}{point}{press}
    """),
    "discard": Templates("""
        (throw|toss|chuck) (it|the {part}) away
        (discard|scrap|trash|dispose of|get rid of|reject) (it|the {part})
        (throw|drop|dump|toss) (it|the {part}) (for good|) (in|into) the {zone} (for good|as scrap)
        (discard|scrap|trash|dump) (it|the {part}) (in|into) the {zone}
        ~(it|the {part}) is (scrap|waste|rubbish)
        (away|off) with (it|the {part}) for good
        ~(it|the {part}) can go (to the scrap|to waste|for good)
        (throw|put) (it|the {part}) to the scrap
        ~we do not need (it|the {part}) any more
        (drop|throw|toss) (it|the {part}) as scrap (in|into) the {zone}
    """),
    "rotate": Templates("""
        (turn|rotate|twist|swivel) the (wrist|gripper|hand|tool) to {angle} (degrees|deg)
        (turn|rotate|twist) (to|it to) {angle} (degrees|deg)
        (set|bring) the (wrist|gripper|hand) (to|at) (an angle of|) {angle} (degrees|deg)
        ~the (wrist|gripper) (should|must) (turn|be turned|be) (to|at) {angle} (degrees|deg)
        ~{angle} (degrees|deg) (for|on) the (wrist|gripper|hand)
        make it {angle} (degrees|deg)
        (spin|swing|wind) (the wrist|the gripper|it) (round|around|) to {angle} (degrees|deg)
        ~the (wrist|hand) is to (be|stand) at {angle} (degrees|deg)
        ~the angle (is|should be) {angle} (degrees|deg)
        (turn|rotate) the (wrist|hand|gripper) (until|so that) it (is|stands) at {angle} (degrees|deg)
    """),
    "grasp": Templates("""
        (close|shut) the (gripper|fingers|hand){grip}{wide}
        (grip|grasp|clamp) (the {part}|it|what is there) (right here|where you are|here){grip}{wide}
        (close|shut) the (gripper|fingers) on the {part}{wide}{grip}
        (squeeze|press) (the fingers|the gripper) (together|shut){grip}{wide}
        ~the (gripper|hand) (should|must|is to) close{grip}{wide}
        (get|take) a (hold|grip) of (it|the {part}) (here|right here){grip}{wide}
        (grip|grasp|clamp|hold) (it|the {part}){grip}{wide}
    """),
    "release": Templates("""
        (open|release) the (gripper|fingers|hand)
        let (it|the {part}) go
        let go of (it|the {part})
        release (it|the {part}) (here|where you are|)
        ~the (gripper|hand) (should|must) open
        (open|spread) (up|) the (fingers|gripper) (again|here|)
        (drop|free) (it|the {part}) (here|right here)
        ~(it|the {part}) can go free
    """),
    "check": Templates("""
        (check|see|find out|test) (whether|if) (there is a|the) (route|way|path) to the {zone}{point} (is free|is clear|exists|)
        (look|search) for a (free|clear|) (route|way|path) to the {zone}{point}
        (check|test|plan|find) (a|the) (free|clear|) (route|way|path) to the {zone}{point}
        (check|see) (whether|if) (the arm|you) (can reach|could reach|can get to|could get to) the {zone}{point}
        ~(can|could) the arm (reach|get to) the {zone}{point}
        ~is (there a|the) (free|clear|) (route|way|path) to the {zone}{point} (free|clear|)
        ~is there (any|some) (route|way|path) to the {zone}{point}
        ~do we (have|find) a (free|clear|) (route|way|path) to the {zone}{point}
        (make sure|verify) (that|) (there is a|the) (route|way|path) to the {zone}{point} (is free|is clear|exists)
        (try|probe|ask for) (a|the) (route|way|path) to the {zone}{point}
        ~how (free|clear) is the (route|way|path) to the {zone}{point}
    """),
    "stop": Templates("""
        stop (the arm|the robot|everything|the drives|at once|all motion|moving)
        (halt|freeze) (the arm|the robot|everything|the drives)
        ~(the arm|everything|the robot) (must|has to|should) stop
        ~(enough|that is enough): (stop|halt)
        stop right (there|here)
        do not move any more
        (keep|hold|stand) still
        (emergency stop|stop dead|brake)
        (cut|kill) (the drives|the motion|all drives)
    """),
    "safe_pose": Templates("""
        (go|move|drive|return) (to|into) the safe (pose|position)
        (take|assume) the safe (pose|position)
        (bring|put|move) the (arm|robot) (to|into) (the|its) safe (pose|position)
        ~the (arm|robot) (should|must) (go|move) to the safe (pose|position)
        (back|over|up) to the safe (pose|position)
        the safe (pose|position) now
        (make|play) it safe
        (seek|find) the safe (pose|position)
        ~I (want|need) the (arm|robot) (in|at) the safe (pose|position)
    """),
    "resume": Templates("""
        (let|make) the drives run again
        (resume|restart|release|start) the drives
        (switch|turn) the drives (back|) on (again|)
        ~the drives (should|may|can) run again
        (power|start) up the drives
        ~the cell is free, so (let the drives run|resume|restart)
        (enable|wake) the drives
        let (us|it) run again
    """),
    "if_part_pick": Templates("""
        if (there is|you see|the camera sees) (a|any) {part} (in|on) the {zone}, (pick it up|pick it|take it|grab it|lift it){grip}
        (pick up|pick|grab|take|lift) (the|a) {part} (in|on|from) the {zone}{grip} if (there is one|one is there|one lies there|you see one)
        (look at|check|inspect) the {zone} and if (a {part} is|a {part} lies|one is) there (pick it up|pick it|take it|grab it){grip}
        (look at|check|inspect) the {zone} and (pick up|grab|take) (the|a) {part} only if (there is one|you see one){grip}
        (in case|provided|once) (there is|you find|you see) (a|any|some) {part} (in|on) the {zone}, (pick it up|pick it|take it|grab it|lift it){grip}
        when (there is|you find) (a|any) {part} (in|on) the {zone}, (pick it up|take it|grab it){grip}
        ~any {part} (in|on) the {zone}? then (pick it up|take it|grab it|lift it){grip}
        (take|pick up|grab) (the|a) {part} (in|from) the {zone}{grip}, (but only|only) if (there is one|it is there)
        (pick|take|grab) the {part} (in|on) the {zone}{grip} (provided|in case) (it is there|there is one)
    """),
    "if_part_else_look": Templates("""
        if (there is|you see) (a|any) {part} (in|on) the {zone}, (pick it up|pick it|take it|grab it){grip}, (otherwise|else|if not) (look at|inspect|check) the {other}
        (look at|check) the {zone} and if (a {part} is|a {part} lies) there (pick it up|take it|grab it){grip}, (otherwise|else|if not) (look at|inspect|photograph) the {other}
        (in case|once) (there is|you find) (a|any) {part} (in|on) the {zone}, (pick it up|take it|grab it){grip}, (otherwise|else) (inspect|look at|view) the {other}
        ~any {part} (in|on) the {zone}? then (pick it up|take it|grab it){grip}, (otherwise|else|if not) (look at|check|view) the {other}
        (pick up|take|grab) (the|a) {part} (in|from) the {zone}{grip} if (there is one|you see one), (otherwise|else|if not) (look at|inspect|view) the {other}
    """),
    "if_person_stop": Templates("""
        if (a person|somebody|someone|anybody) (is in|reaches into|stands in|has a hand in) the {zone}, (stop|stop at once|halt)
        (look at|check|inspect) the {zone} and (stop|halt) if (a person|somebody|someone) (is|reaches|stands) there
        (stop|halt) if (a person|somebody|someone|anybody) (is in|reaches into|is at) the {zone}
        (stop|halt) if you see (a person|somebody|someone) (in|at) the {zone}
        (in case|when|once) (a person|somebody|someone|anybody) (is in|comes into|reaches into|steps into) the {zone}, (stop|halt|stop everything)
        ~(anybody|anyone|a person) (in|at) the {zone}? then (stop|halt)
        (look at|check|watch) the {zone}: (stop|halt) (if|when) (a person|somebody|someone) is (there|in it)
        (look at|check) the {zone} and if (a person|somebody|someone) is (there|in it), (stop|halt)
        (stop|halt) (when|in case) (a person|somebody|someone) (is in|reaches into|comes into) the {zone}
    """),
    "if_nobody_move": Templates("""
        if (nobody|no person|no one) (is in|reaches into|is at) the {zone}, (go|move|drive) (there|to it)
        (go|move|drive) to the {zone} if (nobody|no person|no one) (is there|reaches into it)
        (look at|check|inspect) the {zone} and (go|move|drive) there (only if|if) (nobody|no person|no one) is (there|in it)
        (provided|in case|when) (nobody|no person|no one) (is in|is at|reaches into) the {zone}, (go|move|drive) (there|to it)
        ~(nobody|no one) (in|at) the {zone}? then (go|move|drive) (there|to it)
        (go|move|drive) to the {zone}, but only (if|when) (nobody|no one) (is there|is in it|reaches in)
        (go|move) to the {zone} (unless|except if) (somebody|a person|someone) is there
        (check|look) that (nobody|no one|no person) is in the {zone} and (go|move|drive) there
    """),
    "if_clear_move": Templates("""
        (go|move|drive) to the {zone}{point} (only if|if) the (route|way|path) (has|leaves) (at least|no less than) {clear} mm of (clearance|room|space)
        if the (route|way|path) to the {zone}{point} (has|leaves) at least {clear} mm of (clearance|room|space), (go|move|drive) there
        (check|test) the (route|way|path) to the {zone}{point} and (go|move|drive) there if (it has|there are) at least {clear} mm of (clearance|room|space)
        (provided|in case|when) the (route|way|path) to the {zone}{point} (has|leaves) at least {clear} mm of (clearance|room|space), (go|move|drive) there
        (go|move|drive) to the {zone}{point} (if|when) there are (at least|no less than) {clear} mm of (clearance|room|space) on the (way|route|path)
        ~(at least|no less than) {clear} mm of (clearance|room|space) on the (way|route) to the {zone}{point}? then (go|move) there
        (go|move) to the {zone}{point}, but only with (at least|no less than) {clear} mm of (clearance|room|space)
    """),
    "if_heavy_place": Templates("""
        if it weighs (more than|over) {weight} (g|grams), (put|place|set|drop) it (in|on|into) the {zone}
        (put|place|set) it (in|on|into) the {zone} (if|only if) it (weighs|is) (more than|over) {weight} (g|grams)
        if it is heavier than {weight} (g|grams), (put|place|set|bring) it (in|on|into|to) the {zone}
        (put|place|set) it (in|on|into) the {zone} if it is heavier than {weight} (g|grams)
        (when|in case) it (weighs|has) (more than|over) {weight} (g|grams), (put|place|set|drop) it (in|on|into) the {zone}
        ~more than {weight} (g|grams)? then (put|place|set) it (in|on|into) the {zone}
        ~(anything|everything) (over|above|heavier than) {weight} (g|grams) (goes|belongs) (in|into|on) the {zone}
        (put|place|set) it (in|on|into) the {zone} (when|in case) it weighs (more than|over) {weight} (g|grams)
    """),
}
"""By kind of clause."""

PARTS = ("part", "part", "part", "part", "piece", "workpiece", "component", "block", "cube", "thing", "small part", "metal piece", "red cube", "heavy block", "new part", "last piece",
         "long workpiece", "steel part", "green block", "round thing", "ring", "plate", "box", "bolt", "housing", "casting")  # fmt: skip
SUBJECTS = ("the arm", "the robot", "the cell", "the machine")

POINT = (" at x {x} and y {y}", " at x {x}, y {y}", " at {x}, {y}", " at ({x}, {y})", " at position {x}, {y}", " at the point {x}, {y}", " at x={x}, y={y}",
         " at x {x} mm and y {y} mm", ", {x} mm across and {y} mm along,", " at coordinates {x} and {y}")  # fmt: skip
X_ALONE = (" at x {x}", " with x {x}", " at x={x}", " at x {x} mm")
Y_ALONE = (" at y {y}", " with y {y}", " at y={y}", " at y {y} mm")
HEIGHT = (
    " at a height of {height} mm",
    " {height} mm above the surface",
    " {height} mm high",
    " {height} mm up",
    " at height {height}",
    " at {height} mm height",
)
SPEED = (
    " at {speed} mm/s",
    " at a speed of {speed} mm/s",
    " with {speed} mm/s",
    " with a speed of {speed} mm per second",
    " at {speed} mm per second",
    " no faster than {speed} mm/s",
    " at speed {speed}",
)
GRIP = (" with {force} N", " with {force} newtons", " with a force of {force} N", " using {force} N", " at {force} N", " with {force} newton", " with a grip of {force} N",
        " and grip with {force} N", " with a grip force of {force} N", ", gripping with {force} N", ", force {force} N", " using a force of {force} newtons")  # fmt: skip
WIDE = (
    " {width} mm wide",
    ", which is {width} mm wide",
    ", {width} mm wide,",
    " of {width} mm width",
    " (width {width} mm)",
    " with a width of {width} mm",
    ", width {width} mm,",
)
PRESS = (
    " with {press} N",
    " with at most {press} N",
    " pressing with {press} N",
    " with no more than {press} N",
    " using at most {press} N",
    " with a force of {press} N",
    " gently with {press} N",
)
