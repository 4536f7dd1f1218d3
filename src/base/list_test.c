#include "base/list.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

enum { ITEMS = 5 };

struct item {
    char name;
    struct list node;
};

static void name_items(struct item items[ITEMS])
{
    for (int i = 0; i < ITEMS; i++)
        items[i] = (struct item){.name = (char)('a' + i)};
}

/* Compares the names in order, walking forward and then backward. */
static void expect(struct list *head, const char *want)
{
    struct list *node = head->next;
    for (const char *name = want; *name; name++, node = node->next) {
        assert_ptr_not_equal(node, head);
        assert_int_equal(container_of(node, struct item, node)->name, *name);
        assert_ptr_equal(node->prev->next, node);
        assert_ptr_equal(node->next->prev, node);
    }
    assert_ptr_equal(node, head);
    assert_int_equal(list_empty(head), !*want);
}

static void a_new_list_is_empty(void **state)
{
    (void)state;
    struct list head = LIST_INIT(head);
    expect(&head, "");
    struct list other;
    list_init(&other);
    expect(&other, "");
}

static void elements_go_to_either_end_or_between(void **state)
{
    (void)state;
    struct list head = LIST_INIT(head);
    struct item items[ITEMS];
    name_items(items);
    list_add_last(&head, &items[1].node);
    list_add_last(&head, &items[2].node);
    list_add_first(&head, &items[0].node);
    expect(&head, "abc");
    list_insert_before(&items[2].node, &items[3].node);
    expect(&head, "abdc");
}

static void an_element_knows_whether_it_is_in_a_list(void **state)
{
    (void)state;
    struct list head = LIST_INIT(head);
    struct list node = {0};
    assert_false(list_linked(&node));
    list_add_last(&head, &node);
    assert_true(list_linked(&node));
    list_remove(&node);
    assert_false(list_linked(&node));
}

static void elements_leave_from_anywhere(void **state)
{
    (void)state;
    struct list head = LIST_INIT(head);
    struct item items[ITEMS];
    name_items(items);
    for (int i = 0; i < ITEMS; i++)
        list_add_last(&head, &items[i].node);
    list_remove(&items[2].node);
    expect(&head, "abde");
    list_remove(&items[0].node);
    list_remove(&items[4].node);
    expect(&head, "bd");
    list_remove(&items[1].node);
    list_remove(&items[3].node);
    expect(&head, "");
}

static void removing_twice_is_a_no_op(void **state)
{
    (void)state;
    struct list head = LIST_INIT(head);
    struct item items[ITEMS];
    name_items(items);
    list_add_last(&head, &items[0].node);
    list_add_last(&head, &items[1].node);
    list_remove(&items[0].node);
    list_remove(&items[0].node);
    expect(&head, "b");
}

static void the_first_is_taken_out(void **state)
{
    (void)state;
    struct list head = LIST_INIT(head);
    struct item items[ITEMS];
    name_items(items);
    assert_null(list_take_first(&head));
    list_add_last(&head, &items[0].node);
    list_add_last(&head, &items[1].node);
    assert_ptr_equal(list_take_first(&head), &items[0].node);
    assert_false(list_linked(&items[0].node));
    expect(&head, "b");
}

static void a_list_moves_behind_another(void **state)
{
    (void)state;
    struct list to = LIST_INIT(to), from = LIST_INIT(from);
    struct item items[ITEMS];
    name_items(items);
    list_take_all(&to, &from);
    expect(&to, "");
    list_add_last(&from, &items[0].node);
    list_add_last(&from, &items[1].node);
    list_take_all(&to, &from);
    expect(&to, "ab");
    expect(&from, "");
    list_add_last(&from, &items[2].node);
    list_take_all(&to, &from);
    expect(&to, "abc");
    list_take_all(&to, &from);
    expect(&to, "abc");
}

static void the_nodes_before_a_given_node_move_behind_another_list(void **state)
{
    (void)state;
    struct list from = LIST_INIT(from), to = LIST_INIT(to);
    struct item items[ITEMS];
    name_items(items);
    for (int i = 0; i < ITEMS; i++)
        list_add_last(&from, &items[i].node);
    list_take_until(&to, &from, from.next);
    expect(&to, "");
    list_take_until(&to, &from, &items[1].node);
    expect(&to, "a");
    expect(&from, "bcde");
    list_take_until(&to, &from, &items[3].node);
    expect(&to, "abc");
    expect(&from, "de");
    list_take_until(&to, &from, &from);
    expect(&to, "abcde");
    expect(&from, "");
    list_take_until(&to, &from, &from);
    expect(&to, "abcde");
}

static void the_element_at_hand_may_be_removed_while_walking(void **state)
{
    (void)state;
    struct list head = LIST_INIT(head);
    struct item items[ITEMS];
    name_items(items);
    for (int i = 0; i < ITEMS; i++)
        list_add_last(&head, &items[i].node);
    int seen = 0;
    list_each (&head, node) {
        struct item *item = container_of(node, struct item, node);
        assert_int_equal(item->name, 'a' + seen);
        if (seen++ % 2 == 0)
            list_remove(&item->node);
    }
    assert_int_equal(seen, ITEMS);
    expect(&head, "bd");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_list_is_empty),
        cmocka_unit_test(elements_go_to_either_end_or_between),
        cmocka_unit_test(an_element_knows_whether_it_is_in_a_list),
        cmocka_unit_test(elements_leave_from_anywhere),
        cmocka_unit_test(removing_twice_is_a_no_op),
        cmocka_unit_test(the_first_is_taken_out),
        cmocka_unit_test(a_list_moves_behind_another),
        cmocka_unit_test(the_nodes_before_a_given_node_move_behind_another_list),
        cmocka_unit_test(the_element_at_hand_may_be_removed_while_walking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
