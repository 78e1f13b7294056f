import pytest

from unbraid.errors import UnbraidError
from unbraid.figures import contact_sheet
from unbraid.figures.style import LOOKS


@pytest.mark.parametrize("theme", LOOKS)
def test_images_are_read_like_words(theme, noise, pixels_of, find_image) -> None:
    images = noise(7, 1, 32, 32)
    picture = pixels_of(contact_sheet(images, columns=3, theme=theme))
    places = [find_image(picture, image, 4) for image in images]
    assert sorted(places, key=lambda place: (place[1], place[0])) == places
    assert [x for x, _ in places] == [places[0][0], places[1][0], places[2][0]] * 2 + [places[0][0]]


def test_labels_stand_below_their_images(noise, words_of, pixels_of, find_image) -> None:
    images = noise(3, 3, 32, 32)
    labels = ["one", "two lines\nhere", "a much longer label than the picture"]
    figure = contact_sheet(images, labels, columns=2, title="Title")
    words = {word.text: word.box for word in words_of(figure)}
    assert set(words) == {"Title", "one", "two lines", "here", "a much longer label than the picture"}
    picture = pixels_of(figure)
    for image, label in zip(images, ("one", "two lines", "a much longer label than the picture"), strict=True):
        x, y = find_image(picture, image, 4)
        foot = picture.shape[0] - (y + 128)
        assert foot - 40 < words[label].y1 < foot
        assert abs((words[label].x0 + words[label].x1) / 2 - (x + 64)) < 4
    assert words["here"].y1 < words["two lines"].y0


def test_fewer_images_than_columns_make_a_narrow_page(noise) -> None:
    assert contact_sheet(noise(2, 1, 32, 32)).get_size_inches()[0] < 2


def test_refusals(noise) -> None:
    with pytest.raises(UnbraidError, match="labels must be 2 names"):
        contact_sheet(noise(2, 1, 8, 8), ["a"])
    with pytest.raises(UnbraidError, match="columns must be at least 1, not 0"):
        contact_sheet(noise(2, 1, 8, 8), columns=0)
