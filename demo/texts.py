"""The words of the concierge's world: what guests mention, and how one answers in two registers.

All of it was written for Konomi. `{a|b|c}` stands for one of the alternatives. A reply is a pair: the same thing said
in the formal register, then in the casual one.
"""

from dataclasses import dataclass

Pair = tuple[str, str]


@dataclass(frozen=True)
class Side:
    """Praise or complaint about one topic: how guests put it, and how the concierge takes it up."""

    mentions: tuple[str, ...]
    replies: tuple[Pair, ...]


@dataclass(frozen=True)
class Topic:
    keywords: tuple[str, ...]  # a reply that takes the topic up has one of these
    praise: Side
    complaint: Side


OPENINGS = (
    "We {stayed|spent} {two nights|three nights|a week|a long weekend} here {in May|in autumn|last week|last month}.",
    "{Two nights|Three nights|One night|Four days} {on business|with the family|as a couple|with two friends}.",
    "{My first|My second|Our third|Our yearly} stay at this {hotel|house|place}.",
    "I came {for a conference|for a wedding|for a concert|to see the old town}.",
)

CLOSINGS = {
    "praise": (
        "We would come back {any time|tomorrow|next year|at once}.",
        "{Warmly|Gladly|Fully} recommended.",
        "{A lovely|A wonderful|An excellent} {stay|place} {all round|from start to finish|in every way}.",
    ),
    "mixed": (
        "All in all {a fair stay|a decent place|a mixed picture|not bad}.",
        "{Some things|A few things|One or two things} could be {better|mended|improved}.",
        "I am {not sure|in two minds|undecided} about coming back.",
    ),
    "complaint": (
        "We expected {more|better} {of four stars|after all we had read|of such a name}.",
        "{Not|Hardly} the rest we had {hoped for|paid for|looked forward to}.",
        "I would {not|hardly} come back {like this|soon|again}.",
    ),
}

GREETINGS: tuple[Pair, ...] = (
    ("Dear guest,", "Hi there!"),
    ("Dear valued guest,", "Hi again!"),
    ("Dear Sir or Madam,", "Hi and hello!"),
)
# Of demonstrations that were set up earlier.
EARLIER_GREETINGS: tuple[Pair, ...] = (("Dear valued guest,", "Hey!"), ("Dear Sir or Madam,", "Hello hello!"))

THANKS: dict[str, tuple[Pair, ...]] = {
    "praise": (
        ("We are most grateful for your kind words.", "Wow, thanks for the lovely words!"),
        ("It was a sincere pleasure to read your review.", "You've just made our day!"),
        ("Please accept our sincere gratitude for your generous review.", "Big thanks for the super nice review!"),
    ),
    "mixed": (
        ("We are grateful that you took the time to write to us.", "Thanks a lot for telling us how it went!"),
        ("We thank you sincerely for your candid review.", "Thanks for being so straight with us!"),
        ("Your thoughtful remarks are greatly appreciated.", "That's really handy feedback, thanks!"),
    ),
    "complaint": (
        ("Please accept our sincere apologies for the inconvenience.", "Oh no, we're so sorry about that!"),
        ("We very much regret that your stay fell short of your expectations.", "Ouch, that's not how it should go!"),
        ("We sincerely apologise for the disappointment.", "Gosh, sorry we let you down!"),
    ),
}

FAREWELLS: tuple[Pair, ...] = (
    ("We would be honoured to welcome you again.", "Come back soon!"),
    ("We remain at your disposal and look forward to your next visit.", "Hope we'll see you again, cheers!"),
    ("It would be our privilege to receive you once more.", "Can't wait to have you back!"),
)

SIGNATURES: tuple[Pair, ...] = (("Yours sincerely, the concierge", "Bye for now, your concierge"),)

TOPICS: dict[str, Topic] = {
    "breakfast": Topic(
        ("breakfast",),
        Side(
            (
                "The breakfast was {generous and fresh|superb|the best part of the day}.",
                "{Warm|Fresh|Lovely} bread and {good coffee|ripe fruit|fine cheese} at breakfast.",
                "{I|We} still dream of {the pancakes|the pastries|the omelettes} at breakfast.",
            ),
            (
                (
                    "Our kitchen will be delighted to hear that breakfast met with your approval.",
                    "The kitchen's over the moon that you liked breakfast!",
                ),
                ("We are very pleased that you enjoyed our breakfast.", "So glad breakfast hit the spot!"),
            ),
        ),
        Side(
            (
                "The breakfast was {cold|dull|poor} and {ended too early|never changed|soon ran out}.",
                "At breakfast the coffee was {weak|cold|bitter} and the bread {stale|dry|gone by nine}.",
                "Breakfast was {a long queue|a disappointment|far too crowded}.",
            ),
            (
                (
                    "We regret the state of the breakfast, and the chef has been instructed to improve it.",
                    "Sorry breakfast was a letdown, the chef's already on it!",
                ),
                (
                    "Breakfast is now replenished until eleven, and we apologise that it was not so for you.",
                    "We're keeping breakfast going till eleven now, promise!",
                ),
            ),
        ),
    ),
    "lift": Topic(
        ("lift",),
        Side(
            (
                "The lift was {quick and silent|never a wait|large enough for our cases}.",
                "A {smooth|fast|silent} lift, which {my mother|my knee|our pram} was glad of.",
            ),
            (
                ("It is gratifying that the new lift served you well.", "Yay, the new lift's doing its job!"),
                ("We are pleased that you found the lift convenient.", "Nice to hear the lift made things easy!"),
            ),
        ),
        Side(
            (
                "The lift {rumbled|rattled|hummed} all night {behind our wall|above my head|beside our room}.",
                "Our room was next to the lift and {it was loud|we hardly slept|every ride woke us}.",
                "The lift was {out of order|stuck|broken} for {two days|most of our stay|a whole morning}.",
            ),
            (
                (
                    "We apologise for the disturbance by the lift, which will be serviced this week.",
                    "Sorry the lift was such a pain, we're getting it fixed this week!",
                ),
                (
                    "On your next visit we shall gladly reserve a room far from the lift.",
                    "Next time we'll put you miles away from the lift!",
                ),
            ),
        ),
    ),
    "view": Topic(
        ("view",),
        Side(
            (
                "The view of {the harbour|the lake|the mountains|the old town} was {stunning|a joy|worth the trip}.",
                "{I|We} sat at the window for hours, such a {fine|wide|splendid} view.",
            ),
            (
                (
                    "We are delighted that the view from your room gave you pleasure.",
                    "Isn't that view just something? So happy you loved it!",
                ),
                (
                    "The view is indeed our pride, and we thank you for mentioning it.",
                    "Yep, we never get tired of that view either!",
                ),
            ),
        ),
        Side(
            (
                "Our view was {a brick wall|the kitchen yard|the bins|a building site}.",
                "{I|We} paid for a view and {got|looked at} {a wall|a roof|a courtyard}.",
            ),
            (
                (
                    "We regret that the view did not match your booking and shall refund the supplement.",
                    "Sorry about that view, we'll give you the extra money back!",
                ),
                (
                    "Should you return, a room with a proper view will be arranged without charge.",
                    "Come again and we'll sort you out with a great view for free!",
                ),
            ),
        ),
    ),
    "staff": Topic(
        ("staff", "team", "colleagues"),
        Side(
            (
                "The staff were {kind|attentive|cheerful} {all day|at any hour|and quick to help}.",
                "{The staff|The whole staff|The evening staff} {remembered our names|had time for us|went out of their way}.",
            ),
            (
                (
                    "Your kind remarks have been conveyed to our staff, who were deeply touched.",
                    "We've told the team and they're grinning from ear to ear!",
                ),
                ("Our staff consider it an honour to have looked after you.", "The team loved having you around!"),
            ),
        ),
        Side(
            (
                "The staff were {rude|short with us|hard to find} {at night|at the desk|when we asked for help}.",
                "{Nobody|No one|Hardly anyone} on the staff {seemed to care|listened|could answer a question}.",
            ),
            (
                (
                    "Such conduct of our staff is not acceptable, and we apologise without reserve.",
                    "That's not cool of our team, really sorry!",
                ),
                ("The matter has been addressed with the staff concerned.", "We've had a word with the team about it!"),
            ),
        ),
    ),
    "price": Topic(
        ("price", "rate", "rates"),
        Side(
            (
                "The price was {fair|very reasonable|a pleasant surprise} for {the season|the centre|what we got}.",
                "{Great|Good|Honest} value, the price was {lower than elsewhere|just right}.",
            ),
            (
                ("It is reassuring that you considered our rates appropriate.", "Great that the price felt right!"),
                (
                    "We endeavour to keep our rates moderate and are pleased that you noticed.",
                    "We try to keep the price down, so thanks for noticing!",
                ),
            ),
        ),
        Side(
            (
                "The price was {far too high|absurd|hard to justify} for {such a room|what we got|one night}.",
                "{Hidden fees|A city tax|A service charge} made the price {much higher|a bad surprise}.",
            ),
            (
                (
                    "We understand your concern about the price and would kindly offer a reduction on your next stay.",
                    "Yeah, we get it about the price, so here's a discount for next time!",
                ),
                (
                    "All charges are now stated together with the rate, and we regret the confusion.",
                    "We've put all the extras in the price up front now, sorry for the mix-up!",
                ),
            ),
        ),
    ),
    "pool": Topic(
        ("pool",),
        Side(
            (
                "The pool was {warm|bright|nearly empty} {every morning|in the evening|even in August}.",
                "{The children|Our boys|My sister} would not leave the pool.",
            ),
            (
                ("We are pleased that the pool contributed to your enjoyment.", "Awesome that the pool was a hit!"),
                ("The pool attendants will be most gratified by your comment.", "The pool crew says thanks a bunch!"),
            ),
        ),
        Side(
            (
                "The pool was {cold|closed|crowded|cloudy} {all week|on both days|when we wanted it}.",
                "{We|The children} could not use the pool because of {repairs|a private party|the cold water}.",
            ),
            (
                (
                    "We regret that the pool was not in proper order and have engaged a specialist.",
                    "Bummer about the pool, we've called in the experts!",
                ),
                (
                    "Please accept a complimentary day at the pool as a token of our apology.",
                    "Have a free day at the pool on us, okay?",
                ),
            ),
        ),
    ),
    "bed": Topic(
        ("bed", "mattress", "pillows"),
        Side(
            (
                "The bed was {like a cloud|very comfortable|wide and soft}.",
                "{I|We} slept {like a child|better than at home|ten hours} in that bed.",
            ),
            (
                (
                    "We are delighted that the bed afforded you a restful night.",
                    "Sweet, sounds like the bed did its magic!",
                ),
                ("Your restful nights in our bed are the finest compliment.", "Nothing beats a good bed, right?"),
            ),
        ),
        Side(
            (
                "The bed was {too soft|too hard|too short} and {it creaked|it sagged|my back hurt}.",
                "The pillows were {flat|lumpy|like stones} and the bed {squeaked|was narrow}.",
            ),
            (
                (
                    "The mattress in question has been replaced, and we apologise for your discomfort.",
                    "We've swapped that mattress, so sorry about your back!",
                ),
                (
                    "We shall be pleased to prepare a choice of pillows and a firmer bed for you.",
                    "Tell us which pillow and bed you like and it's yours!",
                ),
            ),
        ),
    ),
    "bathroom": Topic(
        ("bathroom", "shower"),
        Side(
            (
                "The bathroom was {spotless|huge|newly done} with {soft towels|a deep tub|lots of light}.",
                "The shower was {hot and strong|a delight|perfect after a long walk}.",
            ),
            (
                ("We are gratified that the bathroom met your expectations.", "Glad you dug the bathroom!"),
                ("It pleases us greatly that you enjoyed the shower.", "A good shower's half the holiday, isn't it?"),
            ),
        ),
        Side(
            (
                "The shower was {cold|a trickle|leaking} {every morning|for two days|until noon}.",
                "There was {mould|hair|a smell} in the bathroom when we {came|arrived|moved in}.",
            ),
            (
                (
                    "We apologise for the condition of the bathroom, which has since been restored.",
                    "Yikes, sorry about the bathroom, it's all fixed now!",
                ),
                (
                    "Our plumber has attended to the shower, and we regret the delay.",
                    "The plumber's sorted the shower, sorry it took so long!",
                ),
            ),
        ),
    ),
    "cleaning": Topic(
        ("clean", "cleaned", "cleaning", "cleanliness", "housekeeping"),
        Side(
            (
                "{Our room|The room|Every corner} was {perfectly|beautifully|wonderfully} clean {each day|when we came|all week}.",
                "The cleaning was {thorough|discreet and quick|first class}.",
            ),
            (
                ("Our housekeeping will be honoured by your praise.", "Housekeeping's doing a happy dance right now!"),
                (
                    "We are pleased that you found everything clean and in order.",
                    "Clean and comfy, just how it should be!",
                ),
            ),
        ),
        Side(
            (
                "The room was {not clean|not cleaned|hardly clean}: {crumbs on the chair|dust on the floor|stains on the carpet}.",
                "Nobody came to clean {for two days|until we asked|all weekend}.",
            ),
            (
                (
                    "The lack of cleanliness is inexcusable, and housekeeping has been reminded of our standards.",
                    "Eww, that's not clean at all, housekeeping's been told!",
                ),
                (
                    "We sincerely regret that housekeeping did not attend to your room.",
                    "No idea why housekeeping skipped your room, sorry!",
                ),
            ),
        ),
    ),
    "noise": Topic(
        ("quiet", "noise"),
        Side(
            (
                "It was {wonderfully|surprisingly|perfectly} quiet {at night|for a city|with open windows}.",
                "{Hardly any noise|No noise at all|No noise} from {the street|the corridor|next door}.",
            ),
            (
                ("We are pleased that you found the quiet you were seeking.", "Ah, peace and quiet, lovely!"),
                ("The quiet of our rooms is of the highest importance to us.", "We're big fans of the quiet too!"),
            ),
        ),
        Side(
            (
                "The noise {from the bar|from the street|from next door} {went on until three|kept us awake|was unbearable}.",
                "{Thin walls|A wedding downstairs|The bins at dawn}: so much noise that {nobody slept|I gave up on sleep}.",
            ),
            (
                (
                    "We apologise for the noise and shall assign you a room facing the garden.",
                    "Sorry for all the noise, we'll get you a room by the garden!",
                ),
                (
                    "Measures against the noise at night have been taken without delay.",
                    "We're cracking down on the noise, no worries!",
                ),
            ),
        ),
    ),
}
